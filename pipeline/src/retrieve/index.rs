//! Okapi BM25 (Robertson, Walker: TREC-3) over passages.

use std::collections::HashMap;

use aios_proto::{canonical, config::SourceConfig};

use super::passages::split;
use crate::machine::Passage;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// The index of one pipeline.
#[derive(Debug)]
pub struct Index {
    passages: Vec<Passage>,
    /// Words of each passage.
    lengths: Vec<usize>,
    average: f64,
    /// Word to passages and how often it stands in each.
    postings: HashMap<String, Vec<(usize, u32)>>,
}

impl Index {
    /// Indexes every text of every source.
    pub fn build(sources: &[SourceConfig]) -> Self {
        let mut passages = Vec::new();
        for source in sources {
            for (key, text) in &source.texts {
                for (number, (start, end)) in split(text).into_iter().enumerate() {
                    let words = text.get(start..end).unwrap_or_default().to_owned();
                    passages.push(Passage {
                        id: format!("{}/{key}#{number}", source.name),
                        start,
                        end,
                        digest: canonical::digest(words.as_bytes()),
                        text: words,
                    });
                }
            }
        }
        let mut postings: HashMap<String, Vec<(usize, u32)>> = HashMap::new();
        let mut lengths = Vec::new();
        for (at, passage) in passages.iter().enumerate() {
            let mut counts: HashMap<String, u32> = HashMap::new();
            let words = words(&passage.text);
            lengths.push(words.len());
            for word in words {
                *counts.entry(word).or_default() += 1;
            }
            for (word, count) in counts {
                postings.entry(word).or_default().push((at, count));
            }
        }
        let average = lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
        Self {
            passages,
            lengths,
            average,
            postings,
        }
    }

    /// The best passages, best first; equal scores keep the order of the sources.
    pub fn search(&self, query: &str, top_k: u32) -> Vec<Passage> {
        let mut scores = vec![0.0_f64; self.passages.len()];
        let mut asked = words(query);
        asked.sort_unstable();
        asked.dedup();
        for word in asked {
            let Some(postings) = self.postings.get(&word) else {
                continue;
            };
            let (n, df) = (self.passages.len() as f64, postings.len() as f64);
            let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
            for (at, count) in postings {
                let tf = f64::from(*count);
                let length = self.lengths.get(*at).copied().unwrap_or_default() as f64;
                let norm = K1 * (1.0 - B + B * length / self.average.max(1.0));
                if let Some(score) = scores.get_mut(*at) {
                    *score += idf * tf * (K1 + 1.0) / (tf + norm);
                }
            }
        }
        let mut found: Vec<(usize, f64)> = scores
            .into_iter()
            .enumerate()
            .filter(|(_, score)| *score > 0.0)
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found
            .into_iter()
            .take(top_k as usize)
            .filter_map(|(at, _)| self.passages.get(at).cloned())
            .collect()
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aios_proto::config::SourceConfig;

    use super::Index;

    fn index() -> Index {
        let texts = BTreeMap::from([(
            "rules.md".to_owned(),
            "Deposits are protected up to 100,000 EUR.\n\nWebinars start at noon.\n\nEvery mail \
             names an unsubscribe link. Every mail names the sender."
                .to_owned(),
        )]);
        Index::build(&[SourceConfig {
            name: "rules".into(),
            texts,
        }])
    }

    #[test]
    fn the_passage_about_the_words_comes_first_with_id_span_and_digest() {
        let found = index().search("Are my DEPOSITS protected?", 2);
        assert_eq!(found[0].id, "rules/rules.md#0");
        assert_eq!((found[0].start, found[0].end), (0, 41));
        assert!(found[0].digest.starts_with("sha256:"));
    }

    #[test]
    fn what_no_passage_mentions_finds_nothing() {
        assert!(index().search("zebra", 3).is_empty());
        assert!(Index::build(&[]).search("deposits", 3).is_empty());
    }

    #[test]
    fn equal_questions_give_equal_answers() {
        let ask = || index().search("every mail at noon", 3);
        assert_eq!(ask(), ask());
    }
}
