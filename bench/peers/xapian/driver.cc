/*
 * driver - Xapian beside Mayfly: one database of all words with positions, BM25 with k1 1.2, b 0.75.
 *
 *   driver index TSV DIRECTORY default|one   TSV: id, tab, text; "one" compacts the database at the end
 *   driver run DIRECTORY QUERIES             requests on standard input: ../../requests.h
 *
 * Words are Xapian's own (TermGenerator), stemmed in place (STEM_ALL), the stop words left out with a gap.
 */
#include <xapian.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "../../requests.h"

namespace
{

const char *const stop_words[] = {"a",    "an",   "and",  "are",  "as",   "at",    "be",   "but",   "by",
                                  "for",  "if",   "in",   "into", "is",   "it",    "no",   "not",   "of",
                                  "on",   "or",   "such", "that", "the",  "their", "then", "there", "these",
                                  "they", "this", "to",   "was",  "will", "with"};

class Analysis
{
  public:
    Analysis() : stopper(std::begin(stop_words), std::end(stop_words))
    {
        generator.set_stemmer(Xapian::Stem("english"));
        generator.set_stemming_strategy(Xapian::TermGenerator::STEM_ALL);
        generator.set_stopper(&stopper);
        generator.set_stopper_strategy(Xapian::TermGenerator::STOP_ALL);
    }

    void add(Xapian::Document &document, const std::string &text)
    {
        generator.set_document(document);
        generator.set_termpos(0);
        generator.index_text(text);
    }

  private:
    Xapian::SimpleStopper stopper;
    Xapian::TermGenerator generator;
};

int build(const char *tsv, const std::string &directory, bool one)
{
    const std::string place = one ? directory + ".grown" : directory;
    {
        Xapian::WritableDatabase database(place, Xapian::DB_CREATE_OR_OVERWRITE | Xapian::DB_NO_SYNC);
        Analysis analysis;
        std::ifstream file(tsv);
        for (std::string line; std::getline(file, line);) {
            Xapian::Document document;
            auto tab = line.find('\t');
            document.set_data(line.substr(0, tab));
            analysis.add(document, line.substr(tab + 1));
            database.add_document(document);
        }
        database.commit();
    }
    if (one)
        Xapian::Database(place).compact(directory, Xapian::DBCOMPACT_NO_RENUMBER);
    return EXIT_SUCCESS;
}

struct Search {
    Xapian::Database database;
    Xapian::Enquire ranked, counted;
    Analysis analysis;

    explicit Search(const char *directory) : database(directory), ranked(database), counted(database)
    {
        ranked.set_weighting_scheme(Xapian::BM25Weight(1.2, 0, 1, 0.75, 0));
        counted.set_weighting_scheme(Xapian::BoolWeight());
    }

    /* The words of a query in its order, each with its position. */
    std::vector<std::pair<Xapian::termpos, std::string>> terms(const char *text)
    {
        Xapian::Document document;
        std::vector<std::pair<Xapian::termpos, std::string>> found;
        analysis.add(document, text);
        for (auto t = document.termlist_begin(); t != document.termlist_end(); ++t) {
            for (auto p = t.positionlist_begin(); p != t.positionlist_end(); ++p)
                found.emplace_back(*p, *t);
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    Xapian::Query query(request_operator operation, const char *text)
    {
        auto found = terms(text);
        std::vector<Xapian::Query> words;
        for (const auto &term : found)
            words.emplace_back(term.second);
        if (words.empty())
            return Xapian::Query();
        if (operation != REQUEST_PHRASE)
            return Xapian::Query(operation == REQUEST_AND ? Xapian::Query::OP_AND : Xapian::Query::OP_OR, words.begin(),
                                 words.end());
        return Xapian::Query(Xapian::Query::OP_PHRASE, words.begin(), words.end(),
                             found.back().first - found.front().first + 1);
    }
};

uint64_t search(void *context, const request_mode *mode, uint32_t k, const char *text)
{
    Search &s = *static_cast<Search *>(context);
    Xapian::Enquire &enquire = mode->is_count ? s.counted : s.ranked;
    enquire.set_query(s.query(mode->operation, text));
    if (!mode->is_count)
        return enquire.get_mset(0, k).size();
    return enquire.get_mset(0, 0, s.database.get_doccount()).get_matches_estimated();
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc == 5 && std::strcmp(argv[1], "index") == 0)
        return build(argv[2], argv[3], std::strcmp(argv[4], "one") == 0);
    if (argc == 4 && std::strcmp(argv[1], "run") == 0) {
        request_queries queries;
        request_queries_read(&queries, argv[3]);
        Search s(argv[2]);
        request_serve(&queries, search, &s);
        return EXIT_SUCCESS;
    }
    std::cerr << "usage: driver index TSV DIRECTORY default|one, or driver run DIRECTORY QUERIES\n";
    return 2;
} catch (const Xapian::Error &error) {
    std::cerr << "driver: " << error.get_description() << "\n";
    return EXIT_FAILURE;
}
