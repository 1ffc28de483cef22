//! One HTML page that needs nothing else: no scripts, no fonts, nothing from elsewhere. Pure; every
//! text is escaped, and mails are shown as source, never rendered.

mod diff;
mod html;
mod mail;
mod marked;

use super::campaign::Campaign;
use super::record::Record;
use super::summary::Summary;
use html::{escape, row};

const STYLE: &str = include_str!("style.css");

/// Browsers refuse all that is not in the page, should an escape ever be missing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub fn page(summary: &Summary, records: &[Record], campaign: &Campaign) -> String {
    let mails: String = records.iter().map(|r| mail::section(r, campaign)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <title>AIOS: {title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n{summary}\n{plants}\n<h2>Mails</h2>\n{mails}</body></html>\n",
        title = escape(&campaign.run_name),
        summary = lines(summary),
        plants = plants(summary),
    )
}

fn lines(summary: &Summary) -> String {
    let cell = |line: &String| {
        let (what, said) = line.split_once(": ").unwrap_or((line, ""));
        row(&[what, said])
    };
    let rows: String = summary.lines.iter().map(cell).collect();
    let failed = |failure: &String| format!("<p class=\"failed\">{}</p>\n", escape(failure));
    let failed = summary
        .failures
        .iter()
        .map(failed)
        .collect::<Vec<_>>()
        .concat();
    format!("<h2>Summary</h2>\n{failed}<table>{rows}</table>")
}

fn plants(summary: &Summary) -> String {
    let outcome = |o: &super::plants::Outcome| {
        let became = o
            .missed
            .as_deref()
            .map_or("caught".to_owned(), |why| format!("MISSED: {why}"));
        row(&[
            &o.plant.id,
            &o.plant.customer_id,
            &o.plant.what,
            &o.plant.rule,
            &became,
        ])
    };
    let rows: String = summary.caught.outcomes.iter().map(outcome).collect();
    format!("<h2>Planted mistakes</h2>\n<table>{rows}</table>")
}

#[cfg(test)]
mod tests {
    use super::super::plants::Caught;
    use super::super::summary::tests::campaign;
    use super::super::tally::tests::record;
    use super::*;

    #[test]
    fn nothing_from_a_record_becomes_markup() {
        let summary = Summary {
            lines: vec!["<b>1</b> accepted: <i>".into()],
            failures: vec!["<u>".into()],
            caught: Caught::default(),
        };
        let part = serde_json::json!({"name": "html", "kind": "Html",
            "text": "<script>alert('x')</script>"});
        let hostile = Record {
            reason: Some("<em>".into()),
            detail: Some("<img src=x onerror=y>".into()),
            parts: vec![serde_json::from_value(part).unwrap()],
            ..record("<a>\"", "Refused")
        };
        let page = page(&summary, &[hostile], &campaign(&[]));
        for markup in ["<script", "<img", "<em>", "<u>", "<i>", "<b>", "<a>"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"));
        assert!(!page.contains("src=") || page.contains("src=x onerror=y&gt;"));
    }
}
