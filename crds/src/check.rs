//! The checks a policy rule can make. A rule names exactly one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Json, json::any_object, reference::KeyRef};

/// Words that must not occur. Exactly one of `list` and `listRef` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.list) != has(self.listRef)",
    "message": "set exactly one of list and listRef",
}, {
    "rule": "!has(self.stem) || ((!has(self.match) || self.match in ['Word', 'Suffix']) && (!has(self.view) || self.view != 'Raw'))",
    "message": "stem compares whole words in lower case: use match Word or Suffix, and a view other than Raw",
}, {
    "rule": "!has(self.endings) || (!has(self.stem) && (!has(self.match) || self.match in ['Word', 'Suffix']))",
    "message": "endings stand at the end of words: use match Word or Suffix, and no stem, which cuts them off",
}]))]
pub struct Terms {
    /// The words or phrases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10000), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub list: Vec<String>,
    /// Where they stand instead, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_ref: Option<ListRef>,
    /// Where in a text a term counts.
    #[serde(default, rename = "match")]
    pub matching: TermMatch,
    /// What is compared; `Folded` when left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub view: TermView,
    /// Language by whose rules the words of terms and texts are cut to their stems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stem: Option<Stemmer>,
    /// What the last word of a term may end with besides, as `s` of a plural or a possessive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 8)))]
    pub endings: Vec<String>,
}

/// Languages with an algorithm of Snowball's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stemmer {
    Arabic,
    Danish,
    Dutch,
    English,
    French,
    German,
    Italian,
    Norwegian,
    Portuguese,
    Russian,
    Spanish,
    Swedish,
}

/// A list in a ConfigMap: one entry a line; blank lines, and lines that begin with `#` and a space, count
/// for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListRef {
    /// ConfigMap and key that hold the list.
    pub config_map_key_ref: KeyRef,
}

/// What of a text is compared with a term. In all but `Raw`, a word that mixes scripts is also read
/// as the Latin letters it looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TermView {
    /// The letters as they stand: case counts.
    Raw,
    /// Without regard to case, compatibility forms and invisible characters.
    #[default]
    Folded,
    /// As `Folded`, and without regard to accents: `ete` is `été`.
    Unaccented,
}

/// Where in a text a term counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TermMatch {
    /// Whole words only.
    #[default]
    Word,
    /// At the start of a word.
    Prefix,
    /// At the end of a word, as of a compound: `Bank` in `Hausbank`.
    Suffix,
    /// Anywhere.
    Substring,
}

/// A regular expression that must not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pattern {
    /// Linear-time syntax of the Rust `regex` crate: no look-around, no back references.
    #[schemars(length(min = 1, max = 1024))]
    pub regex: String,
}

/// Identifying data that must not occur, each kind proven by its checksum where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pii {
    /// Kinds to look for.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub detect: Vec<PiiKind>,
    /// Variables whose values may occur, by path, as in `customer.email`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub allow_variables: Vec<String>,
    /// Values that may always occur, as the sender's own address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub allow: Vec<String>,
}

/// Kinds of identifying data.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum PiiKind {
    /// E-mail addresses.
    Email,
    /// Telephone numbers in international or grouped national form.
    Phone,
    /// International bank account numbers, ISO 13616 checksum.
    Iban,
    /// Payment card numbers, Luhn checksum.
    Card,
    /// Dates behind words that say they are of birth.
    BirthDate,
    /// Streets with the number of a house.
    Address,
    /// Numbers by which states and insurances know people, by checksum and announcement.
    NationalId,
}

/// Wording that must occur in at least one of the rule's parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Require {
    /// The wording; runs of white space count as one space.
    #[schemars(length(min = 1, max = 4096))]
    pub text: String,
    /// Whether near wording will do: its words in their order, whatever their case, accents and compatibility
    /// forms, and whatever punctuation and space stand between them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
    /// Where in a part it must stand; anywhere when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// A place in a part, white space aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Position {
    /// Nothing stands in front.
    Start,
    /// Nothing follows.
    End,
}

/// Bounds on the size of each part the rule reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.minWords) || has(self.maxWords) || has(self.minSentences) || has(self.maxSentences) || has(self.minCharacters) || has(self.maxCharacters)",
    "message": "set at least one of minWords, maxWords, minSentences, maxSentences, minCharacters, maxCharacters",
}]))]
pub struct Length {
    /// Fewest words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_words: Option<u32>,
    /// Most words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_words: Option<u32>,
    /// Fewest sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_sentences: Option<u32>,
    /// Most sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sentences: Option<u32>,
    /// Fewest characters (grapheme clusters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_characters: Option<u32>,
    /// Most characters (grapheme clusters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_characters: Option<u32>,
}

/// Numbers, and names where asked for, must occur in the variables, the retrieved context or the template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// Numbers, and names where they are asked for, that may always occur, as written in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 64)))]
    pub allow: Vec<String>,
    /// Whether names must be known, too: two or more words in title case in a row, in Latin, Greek or
    /// Cyrillic letters. The first word of a sentence counts for none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names: bool,
}

/// Where links may lead: those of HTML's attributes, and web addresses in the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Links {
    /// Domains, their subdomains included; every domain when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 253)))]
    pub allow: Vec<String>,
    /// Schemes; `http`, `https`, `mailto`, `tel` and `cid` when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 32)))]
    pub schemes: Vec<String>,
    /// Parameters that follow a reader, such as `utm_source`; action Normalize removes them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tracking: LinkTracking,
    /// Whether a link whose text is a web address must lead there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub text: LinkText,
}

/// Parameters that follow a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LinkTracking {
    /// They may stand.
    #[default]
    Allowed,
    /// They must not.
    Forbidden,
}

/// Text of links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LinkText {
    /// It may say anything.
    #[default]
    Any,
    /// A text that is a web address names the domain that the link leads to.
    Honest,
}

/// Keys, tokens and passwords that must not occur: known shapes, and values behind words such as
/// `password:` that look drawn at random.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secrets {
    /// Values that may occur, as an example's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub allow: Vec<String>,
}

/// How a text is set. Action Normalize mends `quotes`, `spacing` and `exclamations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.quotes) || has(self.spacing) || has(self.exclamations) || has(self.capitals) || has(self.openings) || has(self.numbers)",
    "message": "set at least one of quotes, spacing, exclamations, capitals, openings, numbers",
}]))]
pub struct Style {
    /// Quotation marks and apostrophes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotes: Option<Quotes>,
    /// Spaces within lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Spacing>,
    /// Exclamation marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclamations: Option<Exclamations>,
    /// Words in capitals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capitals: Option<Capitals>,
    /// Phrases that no part may open with, after a salutation or without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub openings: Vec<String>,
    /// Thousands separators and decimal marks of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
}

/// Thousands separators and decimal marks of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Numbers {
    /// `1,234.5`, as in English and Chinese.
    English,
    /// `1.234,5`, as in German, Spanish, Italian and Dutch.
    German,
    /// `1 234,5`, as in French, Polish, Swedish and Russian.
    French,
    /// `1'234.5`, as in Switzerland.
    Swiss,
}

/// Quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Quotes {
    /// As a keyboard writes them.
    Straight,
    /// “these”, and typographic apostrophes.
    English,
    /// „these“, and typographic apostrophes.
    German,
    /// «these», and typographic apostrophes.
    Guillemets,
}

/// Spaces within lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Spacing {
    /// Never two in a row, none at the end of a line, none before a comma or a full stop.
    Single,
}

/// Exclamation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Exclamations {
    /// Never two in a row.
    Single,
}

/// Words in capitals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capitals {
    /// Letters that a word in capitals may have, as an acronym's; 4 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_letters: Option<u32>,
    /// Longer words that may stand in capitals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 64)))]
    pub allow: Vec<String>,
}

/// The language that each paragraph must be in, told from its script and its commonest words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Language {
    /// Languages, as in `de`; the document's own when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), inner(length(min = 2, max = 35)))]
    pub allow: Vec<String>,
}

/// What is quoted must stand in the retrieved passages, the variables or the template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Citations {
    /// Fewest words of a quotation that is looked up; 3 when left out. Shorter ones are names and irony.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub min_words: Option<u32>,
}

/// That a machine wrote: told to readers, and to programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.labels) || has(self.mark) || has(self.keep)",
    "message": "set at least one of labels, mark, keep",
}]))]
pub struct Disclosure {
    /// What one of the parts must say, by language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["language"]))]
    pub labels: Vec<DisclosureLabel>,
    /// A `meta` element that every HTML part must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<DisclosureMark>,
    /// Names of `meta` elements that nobody may strip: each that the template has must stand in every
    /// HTML part, with the template's content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 64)))]
    pub keep: Vec<String>,
}

/// A label in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DisclosureLabel {
    /// BCP 47 tag; `de` also stands for `de-AT`.
    #[schemars(length(min = 2, max = 35))]
    pub language: String,
    /// The wording; runs of white space count as one space.
    #[schemars(length(min = 1, max = 1024))]
    pub text: String,
}

/// A `meta` element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DisclosureMark {
    /// Its name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Its content; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub content: Option<String>,
}

/// Each part that the rule reads is one JSON value that fits a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schema {
    /// JSON Schema (draft 2020-12) that refers to nothing outside itself.
    #[schemars(schema_with = "any_object")]
    pub json_schema: Json,
}

/// Texts among the inputs that speak to the model: found before a prompt is built from them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Injection {
    /// Which inputs it reads; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub read: Vec<InjectionInput>,
    /// Signs to look for; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub detect: Vec<InjectionSign>,
    /// Characters of a run of base64 or hex digits that are too many; 256 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 65536))]
    pub max_encoded: Option<u32>,
    /// Wordings that may stand, and beginnings of images' addresses, which end with `/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub allow: Vec<String>,
}

/// Inputs of a document.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum InjectionInput {
    /// Retrieved texts.
    Passages,
    /// The pointer's fields and the context records.
    Variables,
}

/// Signs that a text speaks to the model.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum InjectionSign {
    /// Phrases that set earlier instructions aside, ask for the prompt or give the model another role.
    Instructions,
    /// Marks that part the turns of a chat.
    Roles,
    /// Characters and markup that a reader does not see.
    Hidden,
    /// Long runs of base64 or hex digits, and shorter ones that hold one of the above.
    Encoded,
    /// Images and links that would carry words away.
    Exfiltration,
}

/// Values that tell one person of a batch from all others, which must not stand in another one's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Leak {
    /// Variables whose values identify a person, by path, as in `customer.account`.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub variables: Vec<String>,
    /// Letters and digits of the shortest value that identifies; 6 when left out. A character that is
    /// repeated counts once, a Chinese, Japanese or Korean one as three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 64))]
    pub min_length: Option<u32>,
}

/// What has a default is not written where it says nothing else: who does not know the field yet reads
/// the rest.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
