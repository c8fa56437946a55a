//! A check run on a commit (REST, "Check runs"): what a pull request shows beside its head, with annotations that
//! hang on that very commit.
//!
//! It is created complete, so that a run that is killed leaves none that never ends. Further annotations follow, fifty
//! at a time.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::error::{ApiError, Operation};
use super::{Api, Call, ONE_THING};
use crate::github::annotation::{Annotation, LONGEST_TITLE, Place};
use crate::github::names::{CommitId, RepositoryName};
use crate::github::workflow_command::{cut, tame_lines};

/// So many annotations fit into a request.
const BATCH: usize = 50;

/// So many annotations are sent: ten requests. GitHub counts requests that write, and nobody reads more.
pub const MOST_ANNOTATIONS: usize = 500;

/// The longest summary or text. GitHub says characters; counted in bytes it fits either way.
const LONGEST_FIELD: usize = 65_535;

/// The longest message of an annotation: 64 KB.
const LONGEST_MESSAGE: usize = 64_000;

const PERMISSION: &str = "checks: write";

/// How a check run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// All is well.
    Success,
    /// Something is not.
    Failure,
    /// There is nothing to say for or against it.
    Neutral,
    /// Somebody has to do something.
    ActionRequired,
    /// It was interrupted.
    Cancelled,
    /// There was nothing to do.
    Skipped,
    /// It took too long.
    TimedOut,
}

impl Conclusion {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Neutral => "neutral",
            Self::ActionRequired => "action_required",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::TimedOut => "timed_out",
        }
    }
}

/// What a check run says. Texts that are too long are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// The check's name.
    pub name: String,
    /// How it ended.
    pub conclusion: Conclusion,
    /// A few words.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// More Markdown, below the annotations.
    pub text: Option<String>,
    /// Where people find more.
    pub details_url: Option<Url>,
    /// What hangs on the files. Those without a place are left out: they have nothing to hang on.
    pub annotations: Vec<Annotation>,
}

/// A check run that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its page.
    pub url: Option<Url>,
    /// How many annotations it has.
    pub annotations: usize,
    /// How many annotations were left out, because they have no place or are too many.
    pub left_out: usize,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
    html_url: Option<String>,
}

impl Api {
    /// Creates a check run on a commit.
    pub async fn create_check_run(
        &self,
        repository: &RepositoryName,
        head: &CommitId,
        run: &CheckRun,
    ) -> Result<Shown, ApiError> {
        let operation = Operation::about("create the check run", &run.name, PERMISSION);
        let all: Vec<Value> = run.annotations.iter().filter_map(annotation).take(MOST_ANNOTATIONS).collect();
        let mut batches = all.chunks(BATCH);
        let mut body = json!({
            "name": cut(&run.name, LONGEST_TITLE),
            "head_sha": head.as_str(),
            "status": "completed",
            "conclusion": run.conclusion.as_str(),
            "output": output(run, batches.next().unwrap_or_default()),
        });
        if let Some(url) = &run.details_url {
            body["details_url"] = json!(url.as_str());
        }
        let url = self.url(repository, &["check-runs"]);
        let call = Call::send(Method::POST, url, &body, operation.clone());
        let created: Created = self.expect(&call, ONE_THING).await?.json(&operation)?;
        for batch in batches {
            let url = self.url(repository, &["check-runs", &created.id.to_string()]);
            let body = json!({ "output": output(run, batch) });
            self.expect(&Call::send(Method::PATCH, url, &body, operation.clone()), ONE_THING).await?;
        }
        Ok(Shown {
            url: created.html_url.and_then(|url| Url::parse(&url).ok()),
            annotations: all.len(),
            left_out: run.annotations.len() - all.len(),
        })
    }
}

/// Title and summary have to be in each request with annotations, which are added to those that are there.
fn output(run: &CheckRun, annotations: &[Value]) -> Value {
    let mut output = json!({
        "title": cut(&run.title, LONGEST_TITLE),
        "summary": cut_bytes(&run.summary, LONGEST_FIELD),
        "annotations": annotations,
    });
    if let Some(text) = &run.text {
        output["text"] = json!(cut_bytes(text, LONGEST_FIELD));
    }
    output
}

fn annotation(annotation: &Annotation) -> Option<Value> {
    let Place { path, line, column, end_column } = annotation.place.as_ref()?;
    let first = line.unwrap_or(1);
    let mut value = json!({
        "path": path,
        "start_line": first,
        "end_line": first,
        "annotation_level": annotation.level.check_run(),
        "message": cut_bytes(&tame_lines(&annotation.message), LONGEST_MESSAGE),
    });
    // Columns are taken only where the first line is the last, which it always is here.
    if let Some(column) = line.and(*column) {
        value["start_column"] = json!(column);
        value["end_column"] = json!(end_column.unwrap_or(column).max(column));
    }
    if let Some(title) = &annotation.title {
        value["title"] = json!(cut(&tame_lines(title), LONGEST_TITLE));
    }
    Some(value)
}

/// A text of at most `most` bytes; `…` stands for what was cut.
fn cut_bytes(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most - "…".len();
    let end =
        text.char_indices().map(|(start, c)| start + c.len_utf8()).take_while(|end| *end <= room).last();
    format!("{}…", &text[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::annotation::Level;

    #[test]
    fn columns_need_a_line() {
        let shown = |line, column, end_column| {
            let place = Place { path: "a.yaml".into(), line, column, end_column };
            let what =
                Annotation { level: Level::Error, title: None, place: Some(place), message: "m".into() };
            annotation(&what).expect("a value")
        };
        assert_eq!(
            shown(Some(3), Some(5), None),
            json!({"path": "a.yaml", "start_line": 3, "end_line": 3, "annotation_level": "failure", "message": "m",
                   "start_column": 5, "end_column": 5})
        );
        assert_eq!(shown(Some(3), Some(5), Some(2))["end_column"], json!(5));
        let whole = shown(None, Some(5), Some(7));
        assert_eq!((&whole["start_line"], whole.get("start_column")), (&json!(1), None));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut_bytes("aé", 3), "aé");
        assert_eq!(cut_bytes("aéé", 4), "a…");
        assert_eq!(cut_bytes(&"é".repeat(40_000), LONGEST_FIELD).len(), LONGEST_FIELD);
    }
}
