#include "index/languages.h"

/* The 33 words that English search has left out since the first Lucene. */
static const char english[] =
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with";

/* Of the other languages only words that are function words in nearly every sentence: articles, prepositions,
 * conjunctions, the commonest pronouns and forms of "be". */
static const char german[] =
    "als am an auch auf aus bei bis das dass dem den der des die durch ein eine einem einen einer "
    "eines er es für im in ist mit nach nicht oder sich sie sind so über um und unter vom von vor "
    "war wenn werden wie wird zu zum zur";
static const char french[] =
    "à au aux avec c ce ces cette d dans de des du elle en est et il ils j je l la le les leur "
    "lorsqu m mais n ne nous on ou où par pas pour puisqu qu que qui s sa se ses son sont sur t "
    "un une vous y";
static const char spanish[] =
    "a al como con de del el ella en entre era es esta este la las le lo los más no o para pero "
    "por que se sin sobre son su sus un una y ya";
static const char italian[] =
    "a ad agli ai al alla alle allo anche c che come con d da dai dal dalla dei del della delle "
    "dello di e è ed gli i il in l la le lo ma nei nel nella non o per più se si sono su sul "
    "sulla un una uno";
static const char portuguese[] =
    "a à ao aos as às com como da das de do dos e é em entre foi mais mas na nas no nos não "
    "o os ou para pela pelo por que se sem seu sua são um uma";
static const char dutch[] =
    "aan als bij dat de den der die dit door een en er had heeft het hij in is maar met naar niet "
    "of om onder ook op over te tot uit van voor was werd wordt ze zich zijn";
static const char swedish[] =
    "att av de den det där efter en ett från för han har i inte men med när och om på sig som "
    "till var vid är";
static const char danish[] =
    "af at de den der det efter en er et for fra han har i ikke med men og om på sig som til ved "
    "var";
static const char norwegian[] =
    "av at de den der det en er et etter for fra han har i ikke med men og om på seg som til "
    "ved var";
static const char finnish[] = "ei että hän ja jos kun mutta ne niin oli on ovat se sekä tai vaan";
static const char russian[] =
    "а без бы был была были было в во для до его ее если и из или их к как ко но на над не ни "
    "о об он она они от по под при с со так то что чтобы это";
static const char turkish[] = "bir bu da de için ile ki mi ne o olan olarak ve veya ya";

// clang-format off
const struct language languages[] = {
    {.code = "none"},
    {.code = "am"},
    {.code = "ar", .snowball = "arabic"},
    {.code = "az", .letters = "çəğıöşü", .apostrophe = APOSTROPHE_SPLITS, .dotless_i = true},
    {.code = "be"},
    {.code = "bg"},
    {.code = "bn"},
    {.code = "bs", .letters = "čćđšž"},
    {.code = "ca", .snowball = "catalan", .accents = "àáèéìíïòóùúüç", .apostrophe = APOSTROPHE_SPLITS},
    {.code = "cs"},
    {.code = "cy"},
    {.code = "da", .snowball = "danish", .letters = "æøå", .stop_words = danish},
    {.code = "de", .snowball = "german", .letters = "äöü", .stop_words = german},
    {.code = "el", .snowball = "greek"},
    {.code = "en",
     .snowball = "english",
     .kept = "0123456789_abfhjkopquvwxz",
     .stop_words = english,
     .apostrophe = APOSTROPHE_POSSESSIVE},
    {.code = "eo"},
    {.code = "es", .snowball = "spanish", .letters = "ñ", .accents = "áéíóúü", .stop_words = spanish},
    {.code = "et"},
    {.code = "eu", .snowball = "basque", .letters = "ñ"},
    {.code = "fa"},
    {.code = "fi", .snowball = "finnish", .letters = "åäö", .stop_words = finnish},
    {.code = "fr", .snowball = "french", .accents = "àâäçèéêëîïôöùûüÿ", .stop_words = french, .apostrophe = APOSTROPHE_SPLITS},
    {.code = "ga", .snowball = "irish", .accents = "áéíóú"},
    {.code = "gl", .letters = "ñ"},
    {.code = "gu"},
    {.code = "he"},
    {.code = "hi", .snowball = "hindi"},
    {.code = "hr", .letters = "čćđšž"},
    {.code = "hu", .snowball = "hungarian", .letters = "áéíóöőúüű"},
    {.code = "hy", .snowball = "armenian"},
    {.code = "id", .snowball = "indonesian"},
    {.code = "is", .letters = "áéíóúýæö"},
    {.code = "it", .snowball = "italian", .accents = "àáèéìíòóùú", .stop_words = italian, .apostrophe = APOSTROPHE_SPLITS},
    {.code = "ja"},
    {.code = "ka"},
    {.code = "kk"},
    {.code = "km"},
    {.code = "kn"},
    {.code = "ko"},
    {.code = "lo"},
    {.code = "lt", .snowball = "lithuanian", .letters = "ąčęėįšųūž"},
    {.code = "lv"},
    {.code = "mk"},
    {.code = "ml"},
    {.code = "mr"},
    {.code = "ms"},
    {.code = "my"},
    {.code = "ne", .snowball = "nepali"},
    {.code = "nl", .snowball = "dutch", .accents = "èëïéáäíóöúü", .stop_words = dutch},
    {.code = "no", .snowball = "norwegian", .letters = "æøå", .stop_words = norwegian},
    {.code = "pa"},
    {.code = "pl"},
    {.code = "pt", .snowball = "portuguese", .accents = "àáâãçéêíóôõúü", .stop_words = portuguese},
    /* Snowball's Romanian knows the letters with cedilla; today they are written with a comma. */
    {.code = "ro", .snowball = "romanian", .letters = "ăâîşţ", .same = "șşțţ"},
    {.code = "ru", .snowball = "russian", .stop_words = russian},
    {.code = "sk"},
    {.code = "sl", .letters = "čšž"},
    {.code = "sq"},
    {.code = "sr", .snowball = "serbian", .letters = "čćđšž"},
    {.code = "sv", .snowball = "swedish", .letters = "åäö", .stop_words = swedish},
    {.code = "sw"},
    {.code = "ta", .snowball = "tamil"},
    {.code = "te"},
    {.code = "th"},
    {.code = "tr", .snowball = "turkish", .letters = "çğıöşü", .stop_words = turkish, .apostrophe = APOSTROPHE_SPLITS,
     .dotless_i = true},
    {.code = "uk"},
    {.code = "ur"},
    {.code = "vi"},
    {.code = "yi", .snowball = "yiddish"},
    {.code = "zh"},
};
// clang-format on

const size_t language_count = sizeof languages / sizeof languages[0];

const struct language *language_find(struct str code)
{
    for (size_t i = 0; i < language_count; i++)
        if (str_equal(code, str_of(languages[i].code)))
            return &languages[i];
    return NULL;
}
