//! driver - Tantivy beside Mayfly: one field with positions, its own BM25 (k1 1.2, b 0.75), one thread.
//!
//!     driver index TSV DIRECTORY default|one   TSV: id, tab, text; "one" merges to one segment at the end
//!     driver run DIRECTORY QUERIES             requests on standard input: ../../requests.h
use std::fs::{create_dir_all, File};
use std::io::{stdin, stdout, BufRead, BufReader, BufWriter, Write};
use std::time::Instant;

use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions, STORED, STRING};
use tantivy::tokenizer::{Language, LowerCaser, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, IndexWriter, Searcher, TantivyDocument, Term};
use unicode_segmentation::{UnicodeSegmentation, UnicodeWordIndices};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const STOP_WORDS: &str = "a an and are as at be but by for if in into is it no not of on or such that the their then \
                          there these they this to was will with";

/// Words of UAX 29, as Mayfly and Lucene have them; Tantivy's own tokenizer breaks at every "." and "_".
#[derive(Clone)]
struct Words;

struct WordStream<'a> {
    words: UnicodeWordIndices<'a>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { words: text.unicode_word_indices(), token: Token::default() }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((begin, word)) = self.words.next() else { return false };
        self.token.text.clear();
        self.token.text.push_str(word);
        self.token.position = self.token.position.wrapping_add(1);
        (self.token.offset_from, self.token.offset_to) = (begin, begin + word.len());
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

fn english() -> TextAnalyzer {
    TextAnalyzer::builder(Words)
        .filter(LowerCaser)
        .filter(StopWordFilter::remove(STOP_WORDS.split(' ').map(String::from)))
        .filter(Stemmer::new(Language::English))
        .build()
}

// ------------------------------------------------------------------------------------------------------------ indexing

fn schema() -> Schema {
    let mut fields = Schema::builder();
    let words = TextFieldIndexing::default()
        .set_tokenizer("english")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    fields.add_text_field("id", STRING | STORED);
    fields.add_text_field("text", TextOptions::default().set_indexing_options(words));
    fields.build()
}

fn build(tsv: &str, directory: &str, one: bool) -> Result<()> {
    create_dir_all(directory)?;
    let index = Index::create_in_dir(directory, schema())?;
    index.tokenizers().register("english", english());
    let (id, text) = (index.schema().get_field("id")?, index.schema().get_field("text")?);
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 50_000_000)?;
    for line in BufReader::new(File::open(tsv)?).lines() {
        let line = line?;
        let (name, body) = line.split_once('\t').unwrap_or(("", &line));
        let mut document = TantivyDocument::default();
        document.add_text(id, name);
        document.add_text(text, body);
        writer.add_document(document)?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    if one {
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 256 << 20)?;
        writer.merge(&index.searchable_segment_ids()?).wait()?;
        writer.wait_merging_threads()?;
    }
    Ok(())
}

// ----------------------------------------------------------------------------------------------------------- searching

struct Search {
    searcher: Searcher,
    field: Field,
    analyzer: TextAnalyzer,
}

fn open(directory: &str) -> Result<Search> {
    let index = Index::open_in_dir(directory)?;
    index.tokenizers().register("english", english());
    let field = index.schema().get_field("text")?;
    Ok(Search { searcher: index.reader()?.searcher(), field, analyzer: english() })
}

impl Search {
    fn words(&mut self, text: &str) -> Vec<(usize, Term)> {
        let mut words = Vec::new();
        let field = self.field;
        self.analyzer
            .token_stream(text)
            .process(&mut |token| words.push((token.position, Term::from_field_text(field, &token.text))));
        words
    }

    fn query(&mut self, operator: &str, text: &str) -> Box<dyn Query> {
        let words = self.words(text);
        let one = |term| Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)) as Box<dyn Query>;
        if words.is_empty() {
            return Box::new(EmptyQuery);
        }
        if words.len() == 1 {
            return one(words[0].1.clone());
        }
        if operator == "phrase" {
            return Box::new(PhraseQuery::new_with_offset(words));
        }
        let occur = if operator == "and" { Occur::Must } else { Occur::Should };
        Box::new(BooleanQuery::new(words.into_iter().map(|(_, term)| (occur, one(term))).collect()))
    }

    fn answer(&mut self, mode: &str, k: usize, text: &str) -> Result<usize> {
        if let Some(operator) = mode.strip_prefix("count-") {
            let query = self.query(operator, text);
            return Ok(self.searcher.search(&query, &Count)?);
        }
        let query = self.query(mode, text);
        Ok(self.searcher.search(&query, &TopDocs::with_limit(k).order_by_score())?.len())
    }

    fn pass(&mut self, queries: &[(String, String)], mode: &str, k: usize) -> Result<Vec<(u128, usize)>> {
        let mut found = Vec::with_capacity(queries.len());
        for (_, text) in queries {
            let begin = Instant::now();
            let hits = self.answer(mode, k, text)?;
            found.push((begin.elapsed().as_nanos(), hits));
        }
        Ok(found)
    }
}

fn read(path: &str) -> Result<Vec<(String, String)>> {
    let mut queries = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        let (name, text) = line.split_once('\t').unwrap_or(("", &line));
        queries.push((name.to_string(), text.to_string()));
    }
    Ok(queries)
}

fn print(queries: &[(String, String)], found: &[(u128, usize)]) -> Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for ((name, _), (ns, hits)) in queries.iter().zip(found) {
        writeln!(out, "{name}\t{:.3}\t{hits}", *ns as f64 / 1000.0)?;
    }
    writeln!(out)?;
    Ok(out.flush()?)
}

fn run(directory: &str, path: &str) -> Result<()> {
    let queries = read(path)?;
    let mut search = open(directory)?;
    for request in stdin().lines() {
        let request = request?;
        let parts: Vec<&str> = request.split(' ').collect();
        let [mode, k, passes] = parts[..] else { return Err(request.into()) };
        let mut found = Vec::new();
        for _ in 0..passes.parse::<usize>()? {
            found = search.pass(&queries, mode, k.parse()?)?;
        }
        print(&queries, &found)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["index", tsv, directory, shape] => build(tsv, directory, shape == "one"),
        ["run", directory, queries] => run(directory, queries),
        _ => Err("usage: driver index TSV DIRECTORY default|one, or driver run DIRECTORY QUERIES".into()),
    }
}
