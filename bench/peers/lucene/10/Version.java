import java.io.IOException;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.TieredMergePolicy;
import org.apache.lucene.misc.index.BPIndexReorderer;
import org.apache.lucene.misc.index.BPReorderingMergePolicy;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.TopScoreDocCollectorManager;

/** Version - what the driver asks of Lucene 9 and later in words of their own. */
final class Version {
  /** The best hits' number; what matches is counted no further than they need. */
  static int top(IndexSearcher searcher, Query query, int k) throws IOException {
    return searcher.search(query, new TopScoreDocCollectorManager(k, 1)).scoreDocs.length;
  }

  static void reorder(IndexWriterConfig config) {
    BPIndexReorderer reorderer = new BPIndexReorderer();
    reorderer.setRAMBudgetMB(1024);
    config.setMergePolicy(new BPReorderingMergePolicy(new TieredMergePolicy(), reorderer));
  }

  private Version() {}
}
