use std::time::Instant;

use comrak::{Options, markdown_to_html};
use proptest::prelude::*;

use super::*;
use crate::config::{Change, Changes, Diagnostic};
use crate::oci::{MediaType, Platform};
use crate::plan::{CauseKind, CompanionKind, Decision, Outcome, Remark, RemarkKind};
use crate::report::sample::{
    cause, companion, digest, hostile_words, plan_report, rich_change, rich_plan, rich_sync, sync_report,
};

/// A commit's ID.
const COMMIT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

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
    report.changes = Some(Changes { entries: vec![Change::Unchanged; 3], removed: vec![] });
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
fn what_did_not_begin_is_told_with_its_commit_and_run() {
    let commit =
        |name: &str| Link { name: name.to_owned(), url: format!("https://github.example.com/{name}") };
    let mark = |text: &str| text.lines().last().map(ToOwned::to_owned);
    let of = |name: &str, run: &str| {
        nothing(
            "✅ Nothing to sync",
            "the change does not touch the lists",
            &[],
            Some(&commit(name)),
            Some(&commit(run)),
        )
    };
    let text = of("0a1b2c3", "1");
    assert!(
        text.contains("\n\nThe change does not touch the lists. No image was looked at.\n\n<sub>"),
        "{text}"
    );
    assert!(text.contains("commit [`0a1b2c3`](https://github.example.com/0a1b2c3) · [1]("), "{text}");
    // Another run is no reason to edit a comment, another commit is.
    assert_eq!(mark(&text), mark(&of("0a1b2c3", "2")));
    assert_ne!(mark(&text), mark(&of("4d5e6f7", "1")));
    let fault = Fault { location: None, message: "wrong".to_owned() };
    let of = |name: &str, run: &str| {
        let (name, run) = (commit(name), commit(run));
        faults("The run cannot begin", std::slice::from_ref(&fault), Some(&name), Some(&run), 5000)
    };
    let text = of("0a1b2c3", "1");
    assert!(text.contains("- error: wrong\n") && text.contains("commit [`0a1b2c3`]"), "{text}");
    assert_eq!(mark(&text), mark(&of("0a1b2c3", "2")));
    assert_ne!(mark(&text), mark(&of("4d5e6f7", "1")));
}

#[test]
fn many_explanations_are_folded_together() {
    for (number, together) in [(5, false), (6, true)] {
        let blocked = Decision::Blocked(cause(CauseKind::Failure, "it is gone; look `elsewhere`"));
        let text = plan_report(vec![blocked; number]).markdown(60_000);
        assert_eq!(text.contains("<summary><b>What happened, and what to do</b></summary>"), together);
        assert!(text.contains("| Digest |"), "{text}");
        let reason = "<code>docker.io/library/app0:1</code> · source: it is gone</summary>";
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn of_what_nothing_is_known_there_is_the_reason() {
    let blocked = Decision::Blocked(cause(CauseKind::Failure, "it is gone; look `elsewhere`"));
    let mut report = plan_report(vec![blocked; 2]);
    for item in &mut report.plan.items {
        (item.digest, item.source_digest) = (None, None);
    }
    let text = report.markdown(60_000);
    let row =
        "| ⛔&nbsp;blocked | `docker.io/library/app1:1`<br>→&nbsp;`library/app1:1` | source: it is gone |\n";
    assert!(text.contains(row) && !text.contains("| Digest |"), "{text}");
    assert_eq!(cells(&html(&text)), [3, 3, 3]);
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

/// How many cells each row of the tables has.
fn cells(html: &str) -> Vec<usize> {
    let rows = html.split("<tr>").skip(1);
    let rows = rows.map(|row| row.split("</tr>").next().unwrap_or_default());
    rows.map(|row| row.matches("<td").count() + row.matches("<th").count() - row.matches("<thead").count())
        .collect()
}

/// A pull request that changes 5,000 entries, within the limits of a comment and of a summary.
#[test]
fn a_change_of_5000_entries_is_told_within_the_limits_and_fast() {
    let decision = |number| match number % 100 {
        0 => Decision::Conflict,
        1 => Decision::Blocked(cause(CauseKind::Failure, hostile_words())),
        2..50 => Decision::Copy,
        _ => Decision::UpToDate,
    };
    let mut report = plan_report((0..5000).map(decision).collect());
    for (number, item) in report.plan.items.iter_mut().enumerate() {
        item.target_digest =
            (item.decision == Decision::Conflict).then(|| digest(&format!("as it was, {number}")));
        let image = item.digest.clone().expect("a digest");
        item.companions = Some(vec![companion(CompanionKind::Signature, "cosign", 1, image)]);
    }
    let changed = |number| if number % 5 == 0 { Change::Unchanged } else { Change::Added };
    report.changes = Some(Changes { entries: (0..5000).map(changed).collect(), removed: vec![] });
    let start = Instant::now();
    let (comment, summary) = (report.comment(59_800, COMMIT), report.markdown(1_000_000));
    let took = start.elapsed();
    println!("{took:?} for {} and {} bytes", comment.len(), summary.len());
    assert!(took.as_secs() < 10, "{took:?}");
    assert!(comment.chars().count() <= 60_000 && summary.len() <= 1_000_000);
    assert!(comment.len() > 50_000 && summary.len() > 900_000, "they say what they can");
    for text in [&comment, &summary] {
        assert!(text.contains("\n> [!IMPORTANT]\n> Cut to fit into"), "{text}");
        let html = html(text);
        let cells = cells(&html);
        assert!(cells.len() > 50 && cells.iter().all(|cells| *cells == 6), "{cells:?}");
        for tag in ["details", "summary", "table", "tr"] {
            let ends = html.matches(&format!("</{tag}>")).count();
            assert_eq!(html.matches(&format!("<{tag}>")).count(), ends, "{tag}");
        }
        assert!(!html.contains("<p>|"), "a row is no text");
    }
    assert!(report.run.commit.is_none() && summary.contains("The JSON report has everything."));
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
fn views(text: &str) -> [String; 4] {
    let mut changed = with_hostile(text);
    changed.changes = Some(Changes { entries: vec![Change::Added, Change::Unchanged], removed: vec![] });
    let mut unknown = with_hostile(text);
    let blocked = &mut unknown.plan.items[1];
    (blocked.digest, blocked.source_digest, blocked.target_digest) = (None, None, None);
    let fault = |location| Fault { location, message: text.to_owned() };
    let place = crate::config::Location { file: text.into(), line: 1, column: 1 };
    [
        with_hostile(text).markdown(usize::MAX),
        unknown.markdown(usize::MAX),
        changed.comment(60_000, COMMIT),
        faults(text, &[fault(None), fault(Some(place))], None, None, usize::MAX),
    ]
}

/// With numeric entities as a browser reads them: those of what is HTML in the Markdown are still there.
fn decoded(html: &str) -> String {
    let mut pieces = html.split("&#");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let entity = piece
            .split_once(';')
            .and_then(|(number, rest)| Some((char::from_u32(number.parse().ok()?)?, rest)));
        match entity {
            Some((c, rest)) => text.extend([c.to_string().as_str(), rest]),
            None => text.extend(["&#", piece]),
        }
    }
    text
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
    let outside = decoded(&outside);
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

#[test]
fn a_remark_ends_once() {
    let remarks = ["is the path right?".to_owned(), "it is not".to_owned()];
    let text = super::nothing("Nothing", "no list", &remarks, None, None);
    assert!(text.contains("is the path right?\n") && text.contains("it is not.\n"), "{text}");
}
