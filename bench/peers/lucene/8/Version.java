import java.io.IOException;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.TopScoreDocCollector;

/** Version - what the driver asks of Lucene 8 in words of its own. */
final class Version {
  /** The best hits' number; what matches is counted no further than they need. */
  static int top(IndexSearcher searcher, Query query, int k) throws IOException {
    TopScoreDocCollector best = TopScoreDocCollector.create(k, 1);
    searcher.search(query, best);
    return best.topDocs().scoreDocs.length;
  }

  static void reorder(IndexWriterConfig config) {
    throw new UnsupportedOperationException("Lucene 8 does not reorder documents");
  }

  private Version() {}
}
