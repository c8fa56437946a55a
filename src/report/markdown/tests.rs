use std::time::Instant;

use comrak::{Options, markdown_to_html};
use proptest::prelude::*;

use super::*;
use crate::config::Diagnostic;
use crate::oci::{MediaType, Platform};
use crate::plan::{CauseKind, CompanionKind, Decision, Outcome, Remark, RemarkKind};
use crate::report::sample::{
    cause, companion, digest, hostile_words, plan_report, rich_change, rich_plan, rich_sync, sync_report,
};

/// As GitHub renders, before it takes dangerous HTML away: nothing of that may be there to begin with.
fn html(markdown: &str) -> String {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    options.extension.math_dollars = true;
    options.render.r#unsafe = true;
    markdown_to_html(markdown, &options)
}

#[test]
fn a_rich_sync() {
    insta::assert_snapshot!("sync", rich_sync().markdown(usize::MAX));
}

#[test]
fn a_rich_plan() {
    insta::assert_snapshot!("plan", rich_plan().markdown(60_000));
}

#[test]
fn a_rich_change() {
    insta::assert_snapshot!("change", rich_change().markdown(60_000));
}

#[test]
fn a_change_without_images_says_so() {
    let mut report = plan_report(vec![Decision::UpToDate; 3]);
    let entries = vec![crate::config::Change::Unchanged; 3];
    report.changes = Some(crate::config::Changes { entries, removed: vec![] });
    let text = report.markdown(60_000);
    assert!(text.starts_with("## 📋 Nothing to sync: no image is new or changed\n"), "{text}");
    assert!(text.contains("<summary>The rest of the list, as it was: 3 up to date</summary>"), "{text}");
}

#[test]
fn nothing_to_do_is_short() {
    let text = sync_report(vec![]).markdown(60_000);
    assert!(text.starts_with("## ✅ Nothing to do: the list has no images\n\n<sub>"), "{text}");
    let text = sync_report(vec![Outcome::UpToDate; 30]).markdown(60_000);
    assert!(text.starts_with("## ✅ Nothing to do: all 30 images are up to date\n"), "{text}");
    assert!(text.contains("<details><summary>30 up to date</summary>"), "{text}");
}

#[test]
fn a_long_report_is_cut_between_rows_conflicts_first_and_fast() {
    let mut outcomes = vec![Outcome::UpToDate; 4990];
    outcomes.extend(vec![Outcome::Conflict(cause(CauseKind::Failure, "moved")); 10]);
    let report = sync_report(outcomes);
    let start = Instant::now();
    for limit in [5_000, 60_000, 1_000_000] {
        let text = report.markdown(limit);
        assert!(text.len() <= limit, "{}", text.len());
        assert_eq!(text.matches("❗&nbsp;conflict").count(), 10);
        assert!(text.contains("\n> [!IMPORTANT]\n> Cut to fit into"), "{limit}");
        assert_eq!(html(&text).matches("<tr>").count(), html(&text).matches("</tr>").count());
    }
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    let whole = report.markdown(usize::MAX);
    assert!(!whole.contains("[!IMPORTANT]"));
    assert_eq!(whole.matches("&nbsp;up-to-date").count(), 4990);
}

/// A report with `text` wherever text from outside can be.
fn with_hostile(text: &str) -> Report {
    let mut report = plan_report(vec![Decision::Copy, Decision::Blocked(cause(CauseKind::Failure, text))]);
    report
        .warnings
        .push(Diagnostic { location: crate::report::sample::location(1), message: text.to_owned() });
    report.run.version = text.to_owned();
    for item in &mut report.plan.items {
        item.location.file = text.into();
        item.target.root = text.into();
        item.media_type = Some(MediaType::new(text));
        item.platforms = vec![Platform {
            os: text.to_owned(),
            architecture: text.to_owned(),
            variant: Some(text.to_owned()),
            os_version: Some(text.to_owned()),
        }];
        item.remarks = vec![Remark { kind: RemarkKind::ForeignLayer, message: text.to_owned() }];
        let image = digest("library/app0:1");
        item.companions = Some(vec![companion(CompanionKind::Signature, text, 1, image)]);
    }
    report
}

fn tags(html: &str) -> Vec<&str> {
    html.match_indices('<')
        .map(|(start, _)| {
            let tag = &html[start + 1..];
            &tag[..tag.find(|c: char| c == '>' || c.is_whitespace()).unwrap_or(tag.len())]
        })
        .collect()
}

/// All that becomes Markdown, with `text` wherever text from outside can be.
fn views(text: &str) -> [String; 3] {
    let mut changed = with_hostile(text);
    let entries = vec![crate::config::Change::Added, crate::config::Change::Unchanged];
    changed.changes = Some(crate::config::Changes { entries, removed: vec![] });
    let fault = |location| Fault { location, message: text.to_owned() };
    let place = crate::config::Location { file: text.into(), line: 1, column: 1 };
    [
        with_hostile(text).markdown(usize::MAX),
        changed.comment(60_000),
        faults(text, &[fault(None), fault(Some(place))], usize::MAX),
    ]
}

fn assert_inert(text: &str) {
    for (markdown, tame) in views(text).iter().zip(&views("tame")) {
        assert_as_tame(markdown, tame);
    }
}

fn assert_as_tame(markdown: &str, tame: &str) {
    let (html, expected) = (html(markdown), html(tame));
    // The same elements as with a harmless text, but for code: no links, images, scripts, cells, lists, comments.
    let structure = |html: &str| -> Vec<String> {
        let skeleton = tags(html).into_iter().filter(|tag| !matches!(*tag, "code" | "/code"));
        skeleton.map(ToOwned::to_owned).collect()
    };
    assert_eq!(structure(&html), structure(&expected), "{markdown}");
    // GitHub looks for these in the rendered text, code left out.
    let mut outside = String::new();
    let mut rest = html.as_str();
    while let Some((before, after)) = rest.split_once("<code>") {
        outside.push_str(before);
        rest = after.split_once("</code>").expect("code ends").1;
    }
    outside.push_str(rest);
    for (index, _) in outside.match_indices(['@', '#']) {
        let next = outside[index + 1..].chars().next();
        assert!(!next.is_some_and(char::is_alphanumeric), "a mention or an issue: {}", &outside[index..]);
    }
    assert!(!outside.contains("://") && !outside.to_ascii_lowercase().contains("www."), "{outside}");
}

#[test]
fn hostile_words_stay_words() {
    for text in [
        hostile_words(),
        "<!--",
        "` | `` | ``` ",
        "\\| \\\\| \\`",
        "<a href=http://x>",
        "</details></td></tr></table>",
        "]: http://x.example",
        "\n\n# h\n\n| a | b |\n|--|--|\n| c | d |",
        "[^1] $x$ ~~s~~ **b** _i_ - [ ] &lt; &#64;team :smile:",
        "a@b.example mailto:a@b.example xmpp:a@b.example/x ftp://x.example www.x.example WWW.X.EXAMPLE",
        "",
    ] {
        assert_inert(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_text_becomes_active(pieces in prop::collection::vec(prop_oneof![
        prop::sample::select(vec![
            "|", "`", "``", "\\", "<!--", "-->", "@team", "#12", "GH-1", "::error", "\u{1b}[31m", "\n", "\r\n", "](http://x)",
            "[", "![", "](", ")", "<", ">", "</", "<img src=x>", "<script>", "http://x.example", "www.x.example", "a@b.example",
            "&#64;", "&", ";", "$", "~~", "**", "_", "    ", "- ", "1. ", "# ", "> ", "|--|", "\u{202e}", "\u{0}", "www", ".", ":", "//",
        ]).prop_map(ToOwned::to_owned),
        "(?s:.){0,8}",
        "[a-zA-Z0-9 ]{0,6}",
    ], 0..16)) {
        assert_inert(&pieces.concat());
    }
}
