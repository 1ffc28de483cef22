//! Names to draw from: plain, accented and right-to-left. Any likeness is chance.

use crate::Language;

const ENGLISH_FIRST: [&str; 36] = [
    "Amélie",
    "Zoë",
    "Łukasz",
    "Søren",
    "Siân",
    "José",
    "Chloë",
    "Noël",
    "Renée",
    "Jürgen",
    "Nguyệt",
    "Ana",
    "Olivia",
    "George",
    "Grace",
    "Henry",
    "Ivy",
    "Jack",
    "Kofi",
    "Leila",
    "Maya",
    "Noah",
    "Oscar",
    "Priya",
    "Ravi",
    "Sara",
    "Tom",
    "Uma",
    "Violet",
    "William",
    "Yusuf",
    "Zara",
    "נועה",
    "דוד",
    "رانيا",
    "Đorđe",
];
const ENGLISH_LAST: [&str; 30] = [
    "O'Brien",
    "Müller",
    "Sørensen",
    "Nowak-Wójcik",
    "García",
    "Nguyễn",
    "Åkesson",
    "Dvořák",
    "Çelik",
    "Smith",
    "Patel",
    "Jones",
    "Okafor",
    "Khan",
    "Rossi",
    "Taylor",
    "Brown",
    "Evans",
    "Wilson",
    "Roberts",
    "Walker",
    "Wright",
    "Green",
    "Hall",
    "Wood",
    "Clarke",
    "לוי",
    "حداد",
    "van der Berg",
    "Fitzgerald",
];
const GERMAN_FIRST: [&str; 10] = [
    "Jörg", "Käthe", "Lukas", "Mareike", "Björn", "Ulrike", "Sören", "Anke", "Till", "Wiebke",
];
const GERMAN_LAST: [&str; 10] = [
    "Groß",
    "Weiß",
    "Schröder",
    "Krüger",
    "Jansen",
    "Petersen",
    "Möller",
    "Hansen",
    "Böhm",
    "Voß",
];
const ARABIC_FIRST: [&str; 8] = ["ليلى", "يوسف", "مريم", "عمر", "سلمى", "خالد", "نور", "هادي"];
const ARABIC_LAST: [&str; 8] = [
    "العلي",
    "منصور",
    "الحسن",
    "قاسم",
    "الخطيب",
    "سليمان",
    "درويش",
    "الصباغ",
];

/// First and last names of people who read this language.
pub fn of(language: Language) -> (&'static [&'static str], &'static [&'static str]) {
    match language {
        Language::En => (&ENGLISH_FIRST, &ENGLISH_LAST),
        Language::De => (&GERMAN_FIRST, &GERMAN_LAST),
        Language::Ar => (&ARABIC_FIRST, &ARABIC_LAST),
    }
}

pub const ADVISERS: [&str; 5] = [
    "Karla Brandt",
    "Tim Ostermann",
    "Aylin Demir",
    "Per Lindqvist",
    "Ruth Adeyemi",
];
