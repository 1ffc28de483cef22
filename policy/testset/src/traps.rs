//! Texts that make a check look at the same bytes again, had it no bound: each is repeated to any length.

/// A check, and what is to be repeated.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    pub name: &'static str,
    /// A rule as JSON, without its name and action.
    pub check: &'static str,
    pub action: &'static str,
    /// Whether the check looks at the same bytes again, up to a bound of its own.
    pub bounded: bool,
    open: &'static str,
    repeated: &'static str,
    close: &'static str,
}

impl Trap {
    /// About so many bytes of text.
    pub fn text(&self, bytes: usize) -> String {
        let middle = self.repeated.repeat(bytes / self.repeated.len().max(1));
        format!("{}{middle}{}", self.open, self.close)
    }
}

const fn trap(name: &'static str, check: &'static str, repeated: &'static str) -> Trap {
    Trap {
        name,
        check,
        action: "Warn",
        bounded: false,
        open: "",
        repeated,
        close: "",
    }
}

/// What is looked at again: an address up to its 2 kB, a token up to its 8, an expression's reading up to an error.
const fn bounded(name: &'static str, check: &'static str, repeated: &'static str) -> Trap {
    Trap {
        bounded: true,
        ..trap(name, check, repeated)
    }
}

/// JSON: what repeats stands between brackets.
const fn json(
    name: &'static str,
    open: &'static str,
    item: &'static str,
    close: &'static str,
) -> Trap {
    Trap {
        open,
        close,
        ..trap(name, SCHEMA, item)
    }
}

/// What is replaced: parts long enough that no rule finds more than it may replace.
const fn redacted(name: &'static str, check: &'static str, repeated: &'static str) -> Trap {
    Trap {
        action: "Redact",
        ..trap(name, check, repeated)
    }
}

const TERMS: &str = r#"{"terms": {"list": ["acme", "cmea", "e"], "match": "Substring"}}"#;
const REPLACED: &str = r#"{"terms": {"list": ["acme", "no [removed]"], "match": "Substring"}}"#;
const RAW: &str = r#"{"terms": {"list": ["a", "acme"], "view": "Raw", "match": "Substring"}}"#;
const PATTERN: &str = r#"{"pattern": {"regex": "a.{0,40}x|1|[\\x{1f1e6}-\\x{1f1ff}]|\\x{302}"}}"#;
const FAR: &str = r#"{"pattern": {"regex": "a[^x]*x|[ab]"}}"#;
const PII: &str = r#"{"pii": {"detect": ["Email", "Phone", "Iban", "Card", "BirthDate", "Address",
    "NationalId"]}}"#;
const SECRETS: &str = r#"{"secrets": {}}"#;
const LINKS: &str =
    r#"{"links": {"allow": ["bank.example"], "tracking": "Forbidden", "text": "Honest"}}"#;
const STYLE: &str = r#"{"style": {"quotes": "English", "spacing": "Single", "exclamations": "Single",
    "capitals": {}, "openings": ["so it"]}}"#;
const NEAR: &str = r#"{"require": {"text": "a a a b", "near": true}}"#;
const NUMBERS: &str = r#"{"style": {"numbers": "German"}}"#;
const FACTS: &str = r#"{"facts": {}}"#;
const NAMES: &str = r#"{"facts": {"names": true, "allow": ["Ada B"]}}"#;
const CITATIONS: &str = r#"{"citations": {"minWords": 1}}"#;
const STEMS: &str = r#"{"terms": {"list": ["bank", "sichere Rendite"], "stem": "German"}}"#;
const SUFFIX: &str = r#"{"terms": {"list": ["bank", "nk"], "match": "Suffix"}}"#;
const ENDINGS: &str = r#"{"terms": {"list": ["acme", "a"], "endings": ["s", "ss"]}}"#;
const UNACCENTED: &str =
    r#"{"terms": {"list": ["e", "ee"], "view": "Unaccented", "match": "Substring"}}"#;
const REQUIRE: &str = r#"{"require": {"text": "note note note that"}}"#;
const DISCLOSURE: &str = r#"{"disclosure": {"labels": [{"language": "en", "text": "written with AI"}],
    "mark": {"name": "ai", "content": "yes"}}}"#;
const LENGTH: &str = r#"{"length": {"minWords": 1, "maxCharacters": 40}}"#;
const LANGUAGE: &str = r#"{"language": {}}"#;
const SCHEMA: &str = r#"{"schema": {"jsonSchema": {"items": {"type": "object"}}}}"#;
const INJECTION: &str = r#"{"injection": {}}"#;
const LEAK: &str = r#"{"leak": {"variables": ["customer.street"]}}"#;
const MODERATION: &str = r#"{"moderation": {"model": "judge"}}"#;
const SIZES_OF_TEXT: &str = r#"{"cel": "text.words + text.sentences + text.characters > 1"}"#;

/// Traps of every check.
pub const TRAPS: [Trap; 98] = [
    trap("nested", TERMS, "acme"),
    trap("letters", RAW, "a"),
    trap("accents", RAW, "a\u{301}\u{301}"),
    trap("flags", PATTERN, "\u{1f1e9}\u{1f1ea}"),
    trap(
        "one_letter_under_all_accents",
        PATTERN,
        "\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{302}",
    ),
    trap("ahead", PATTERN, "a1"),
    trap("far_ahead", FAR, "a"),
    bounded("far_ahead_of_another", FAR, "acccccccccccccccccccb"),
    trap("addresses", PII, "a@"),
    trap("dots", PII, "a."),
    trap("numbers_beside_addresses", PII, "a@b.de 0171 1234567 "),
    trap("groups", PII, "1 111 "),
    trap("ibans", PII, "DE89 "),
    trap("births", PII, "born on 3 "),
    trap("homes", PII, "12 Rue de "),
    trap("announced", SECRETS, "token:"),
    trap("announced_in_a_row", SECRETS, "secrettoken "),
    trap("signs", SECRETS, "password="),
    trap("signs_without_words", SECRETS, "so it goes: "),
    trap("shapes", SECRETS, "xoxb-"),
    trap("dotted_shapes", SECRETS, "SG."),
    bounded("shapes_and_dots", SECRETS, "-eyJ."),
    trap("keys", SECRETS, "-----BEGIN "),
    trap("private_keys", SECRETS, "-----BEGIN PRIVATE KEY-----"),
    trap("passwords", SECRETS, "a://b:c@"),
    trap("schemes", LINKS, "://"),
    trap("parameters", LINKS, "https://a.example/?utm_id=1&"),
    trap("anchors", LINKS, "<a href='x'>www."),
    trap("spaces", STYLE, " ,"),
    trap("long_spaces", STYLE, "  "),
    trap("capitals", STYLE, "AB-"),
    trap("quotes", STYLE, "\"a "),
    trap("wording", NEAR, "a "),
    trap("wording_of_letters", NEAR, "银\u{301}a. "),
    trap("numbers", NUMBERS, "1.111"),
    trap("numbers_with_units", NUMBERS, "1.1 % "),
    trap("grouped", FACTS, " 111"),
    trap("versions", FACTS, "1.1"),
    trap("letters_before_numbers", FACTS, "euro1"),
    trap("names", NAMES, "Ada "),
    trap("particles", NAMES, "Ada von "),
    trap("hyphens", NAMES, "Ada-"),
    trap("apostrophes", NAMES, "A'"),
    trap("initials", NAMES, "A. "),
    trap("quoted", CITATIONS, "“a "),
    trap("ends", SIZES_OF_TEXT, "a. ("),
    trap("ends_in_a_row", SIZES_OF_TEXT, "1."),
    trap("brackets", SIZES_OF_TEXT, "é. (("),
    trap("unknown_brackets", SIZES_OF_TEXT, "『("),
    trap("markup", SIZES_OF_TEXT, "<!--"),
    trap("open_tags", SIZES_OF_TEXT, "<a b='"),
    trap("scripts", SIZES_OF_TEXT, "<title></"),
    trap("stems", STEMS, "banken "),
    trap("stems_of_one_word", STEMS, "bank-"),
    trap("stems_without_gaps", STEMS, "aa"),
    trap("compounds", SUFFIX, "bank"),
    trap("endings", ENDINGS, "acmess "),
    trap("bare_letters", UNACCENTED, "e\u{301}\u{301}"),
    trap("wordings", REQUIRE, "note "),
    trap("wordings_of_one_letter", REQUIRE, "nn"),
    trap("spaces_between_wordings", REQUIRE, "\u{a0}\u{200b}"),
    trap("labels", DISCLOSURE, "written with "),
    trap("metas", DISCLOSURE, "<meta name=ai content=no>"),
    trap("sizes", LENGTH, "a. "),
    trap("sizes_of_marks", LENGTH, "e\u{301}\u{1f1e9}"),
    trap("paragraphs", LANGUAGE, "nous sommes dans la maison\n"),
    trap("one_paragraph", LANGUAGE, "nous sommes dans la maison "),
    trap("scripts_in_turn", LANGUAGE, "a\u{43e}"),
    trap("no_json", SCHEMA, "["),
    trap("open_strings", SCHEMA, "\"a\\"),
    trap("values", SCHEMA, "{\"a\": 1} "),
    trap("orders", INJECTION, "ignore "),
    trap("denied_orders", INJECTION, "do not forget   "),
    trap("orders_in_disguise", INJECTION, "ign\u{43e}re previous "),
    trap("roles", INJECTION, "   ### system:"),
    trap("speakers", INJECTION, "system: you are not\n"),
    trap("marks_of_turns", INJECTION, "<|im_start|>"),
    trap("shapeless", INJECTION, "a\u{200b}b\u{2060}"),
    trap("hiding_tags", INJECTION, "<b style='opacity:0"),
    trap("hidden_tags", INJECTION, "<b style='opacity:0000'>"),
    trap("encoded", INJECTION, "aWdub3JlIHByZXZpb3Vz"),
    trap(
        "encoded_lines",
        INJECTION,
        "aWdub3JlIHByZXZpb3VzIGluc3RydWN0aW9ucwaWdub3JlIHByZXZpb3Vz\n",
    ),
    bounded("images", INJECTION, "![a](http://b?c="),
    bounded(
        "sources",
        INJECTION,
        "src=//b.example/of/many/names/that/end/nowhere/and/go/on/?c=d&",
    ),
    trap("spaced_sources", INJECTION, "src  =  "),
    trap("leaks", LEAK, "Hauptstrasse 12 "),
    trap("letters_of_leaks", LEAK, "h "),
    trap("leaks_without_spaces", LEAK, "\u{94f6}\u{884c}"),
    trap("leaks_in_attributes", LEAK, "<a title='Hauptstrasse 12'>"),
    trap("judged", MODERATION, "a "),
    trap("judged_markup", MODERATION, "<b>\u{a0}"),
    json("items", "[", "{\"a\": \"\\u0061\"}, ", "1]"),
    json("misfits", "[", "1, ", "1]"),
    json("keys", "{", "\"a\": 1, ", "\"b\": 2}"),
    json("json_spaces", "[", "     ", "1]"),
    redacted(
        "replaced",
        REPLACED,
        "acme and as many other words behind it as keep matches apart, so no",
    ),
    redacted(
        "replaced_data",
        PII,
        "a@b.de and as many other words behind it as keep one from the next one. ",
    ),
    redacted(
        "replaced_among_tags",
        REPLACED,
        "<b>ac</b>me and as many words behind it as keep matches apart, so no",
    ),
];
