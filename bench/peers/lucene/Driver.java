import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.StopFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.apache.lucene.analysis.standard.StandardTokenizer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.PositionIncrementAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.FSDirectory;

/**
 * Driver - Lucene beside Mayfly: one field with positions, BM25 with k1 1.2, b 0.75, one thread, no query cache.
 *
 * <pre>
 *   Driver index TSV DIRECTORY default|one|reordered
 *   Driver run DIRECTORY QUERIES
 * </pre>
 *
 * TSV: id, tab, text. "one" merges to one segment at the end; "reordered" does so with documents in the order that
 * recursive graph bisection gives them. Requests on standard input are those of ../../requests.h. Where Lucene's
 * versions differ, Version does.
 */
final class Driver {
  private static final String FIELD = "text";
  private static final BM25Similarity BM25 = new BM25Similarity(1.2f, 0.75f);
  private static final CharArraySet STOP_WORDS =
      new CharArraySet(
          Arrays.asList(
              ("a an and are as at be but by for if in into is it no not of on or such that the their then there these"
                      + " they this to was will with")
                  .split(" ")),
          false);

  private static final Analyzer ENGLISH =
      new Analyzer() {
        @Override
        protected TokenStreamComponents createComponents(String field) {
          StandardTokenizer words = new StandardTokenizer();
          TokenStream kept = new StopFilter(new LowerCaseFilter(words), STOP_WORDS);
          return new TokenStreamComponents(words, new SnowballFilter(kept, "English"));
        }
      };

  // ---------------------------------------------------------------------------------------------------------- indexing

  private static IndexWriterConfig config(String shape) {
    // Lucene's own 16 MB of buffer: several segments, and so a merge at the end, which is where documents are reordered.
    IndexWriterConfig config = new IndexWriterConfig(ENGLISH).setSimilarity(BM25);
    if (shape.equals("reordered")) {
      Version.reorder(config);
    }
    return config;
  }

  private static Document document(String line) {
    int tab = line.indexOf('\t');
    Document document = new Document();
    document.add(new StringField("id", line.substring(0, tab), Field.Store.YES));
    document.add(new TextField(FIELD, line.substring(tab + 1), Field.Store.NO));
    return document;
  }

  private static void index(Path tsv, Path directory, String shape) throws IOException {
    try (IndexWriter writer = new IndexWriter(FSDirectory.open(directory), config(shape));
        BufferedReader lines = Files.newBufferedReader(tsv)) {
      for (String line; (line = lines.readLine()) != null; ) {
        writer.addDocument(document(line));
      }
      if (!shape.equals("default")) {
        writer.forceMerge(1);
      }
      writer.commit();
    }
  }

  // --------------------------------------------------------------------------------------------------------- searching

  private record Word(Term term, int position) {}

  private record Line(String name, String text) {}

  private static List<Word> words(String text) throws IOException {
    List<Word> words = new ArrayList<>();
    try (TokenStream stream = ENGLISH.tokenStream(FIELD, text)) {
      CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
      PositionIncrementAttribute increment = stream.addAttribute(PositionIncrementAttribute.class);
      stream.reset();
      for (int position = -1; stream.incrementToken(); ) {
        position += increment.getPositionIncrement();
        words.add(new Word(new Term(FIELD, term.toString()), position));
      }
      stream.end();
    }
    return words;
  }

  private static Query phrase(List<Word> words) {
    PhraseQuery.Builder phrase = new PhraseQuery.Builder();
    for (Word word : words) {
      phrase.add(word.term(), word.position());
    }
    return phrase.build();
  }

  private static Query query(String operator, String text) throws IOException {
    List<Word> words = words(text);
    if (words.isEmpty()) {
      return new BooleanQuery.Builder().build();
    }
    if (words.size() == 1) {
      return new TermQuery(words.get(0).term());
    }
    if (operator.equals("phrase")) {
      return phrase(words);
    }
    BooleanQuery.Builder all = new BooleanQuery.Builder();
    BooleanClause.Occur occur = operator.equals("and") ? BooleanClause.Occur.MUST : BooleanClause.Occur.SHOULD;
    for (Word word : words) {
      all.add(new TermQuery(word.term()), occur);
    }
    return all.build();
  }

  private static long answer(IndexSearcher searcher, String mode, int k, String text) throws IOException {
    if (mode.startsWith("count-")) {
      return searcher.count(query(mode.substring("count-".length()), text));
    }
    return Version.top(searcher, query(mode, text), k);
  }

  private static void pass(IndexSearcher searcher, List<Line> lines, String mode, int k, long[] times, long[] answers)
      throws IOException {
    for (int i = 0; i < times.length; i++) {
      long begin = System.nanoTime();
      answers[i] = answer(searcher, mode, k, lines.get(i).text());
      times[i] = System.nanoTime() - begin;
    }
  }

  private static void print(PrintStream out, List<Line> lines, long[] times, long[] answers) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < times.length; i++) {
      text.append(lines.get(i).name()).append('\t');
      text.append(times[i] / 1000).append('.').append(String.valueOf(1000 + times[i] % 1000), 1, 4);
      text.append('\t').append(answers[i]).append('\n');
    }
    out.println(text);
    out.flush();
  }

  private static List<Line> read(Path queries) throws IOException {
    List<Line> lines = new ArrayList<>();
    for (String line : Files.readAllLines(queries)) {
      int tab = line.indexOf('\t');
      lines.add(new Line(line.substring(0, Math.max(tab, 0)), line.substring(tab + 1)));
    }
    return lines;
  }

  private static void run(Path directory, Path queries) throws IOException {
    List<Line> lines = read(queries);
    long[] times = new long[lines.size()];
    long[] answers = new long[lines.size()];
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (DirectoryReader reader = DirectoryReader.open(FSDirectory.open(directory))) {
      IndexSearcher searcher = new IndexSearcher(reader);
      searcher.setSimilarity(BM25);
      searcher.setQueryCache(null);
      for (String request; (request = requests.readLine()) != null; ) {
        String[] parts = request.split(" ");
        for (int i = 0; i < Integer.parseInt(parts[2]); i++) {
          pass(searcher, lines, parts[0], Integer.parseInt(parts[1]), times, answers);
        }
        print(out, lines, times, answers);
      }
    }
  }

  public static void main(String[] arguments) throws IOException {
    if (arguments.length == 4 && arguments[0].equals("index")) {
      index(Path.of(arguments[1]), Path.of(arguments[2]), arguments[3]);
    } else if (arguments.length == 3 && arguments[0].equals("run")) {
      run(Path.of(arguments[1]), Path.of(arguments[2]));
    } else {
      System.err.println("usage: Driver index TSV DIRECTORY default|one|reordered, or Driver run DIRECTORY QUERIES");
      System.exit(2);
    }
  }
}
