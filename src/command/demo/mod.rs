//! `demo`: the main job, on two registries of its own, told as a story.
//!
//! Every command that it shows is run as it is shown, by the same code, and prints what it prints.

mod images;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::surroundings::Surroundings;
use crate::cli;
use crate::console::print;
use crate::layout::Layout;
use crate::serve::{self, Backend, Memory};
use images::Workshop;

/// A step of the story: what is said before a command, the command, and the exit code that it must have.
struct Step<'a> {
    said: &'a str,
    arguments: &'a [&'a str],
    code: u8,
}

/// Tells the story. With `keep`, the list, the reports and what both registries hold stay in that folder.
///
/// # Errors
///
/// Fails if the folder or the registries cannot be made, or if a command did not do what it should.
pub(super) async fn run(keep: Option<&Path>, surroundings: &Surroundings) -> anyhow::Result<()> {
    let passing = tempfile::tempdir().context("failed to make a folder")?;
    let folder = match keep {
        None => passing.path().to_owned(),
        Some(folder) => fresh(folder)?,
    };
    let upstream = Registry::start(keep.map(|_| folder.join("upstream"))).await?;
    let mirror = Registry::start(keep.map(|_| folder.join("mirror"))).await?;
    let workshop = Workshop::new(upstream.store.as_ref())?;
    make_images(&workshop).await?;
    let list = folder.join("external-images.yaml");
    std::fs::write(&list, list_text(&upstream.host, &mirror.host)).context("failed to write the list")?;
    std::fs::write(folder.join("cosign.pub"), workshop.public_key()?).context("failed to write the key")?;

    print(&format!(
        "Two registries run in this process: {} plays the upstream, {} is the mirror.\n\
         The list, external-images.yaml:\n\n{}\n",
        upstream.host,
        mirror.host,
        indented(&list_text(&upstream.host, &mirror.host))
    ))?;
    let story = Story { reports: keep.map(|_| folder.as_path()), list: &list, surroundings };
    story
        .tell(&Step {
            said: "1. A pull request edits the list. What would happen?",
            arguments: &["plan"],
            code: 0,
        })
        .await?;
    story.tell(&Step { said: "2. The merge to main does it.", arguments: &["sync"], code: 0 }).await?;
    story
        .tell(&Step {
            said: "3. The next run finds everything in place, and writes nothing.",
            arguments: &["sync"],
            code: 0,
        })
        .await?;
    workshop.image("library/hello", Some("1.0"), "Hello, silently changed.").await?;
    story
        .tell(&Step {
            said: "4. Upstream moves the tag hello:1.0 to another image. A tag that was mirrored once never\n   \
                   changes: the run reports the conflict, leaves the mirror alone, and ends with exit code 3.",
            arguments: &["sync"],
            code: 3,
        })
        .await?;
    print(&next(keep))?;
    upstream.stop().await?;
    mirror.stop().await
}

async fn make_images(workshop: &Workshop<'_>) -> anyhow::Result<()> {
    workshop.image("library/hello", Some("1.0"), "Hello.").await?;
    workshop.two_platforms("team/web", "2.1", "A web server, one would hope,").await?;
    let signed = workshop.two_platforms("team/api", "3.0.1", "An API").await?;
    workshop.sign("team/api", &signed).await?;
    let bill = r#"{"spdxVersion":"SPDX-2.3","name":"team/api"}"#;
    let bill = workshop.referrer("team/api", &signed, "application/spdx+json", bill).await?;
    let provenance = r#"{"_type":"https://in-toto.io/Statement/v1"}"#;
    workshop.referrer("team/api", &signed, "application/vnd.in-toto+json", provenance).await?;
    workshop.referrer("team/api", &bill, "application/vnd.example.review", "read and found good").await?;
    Ok(())
}

fn list_text(upstream: &str, mirror: &str) -> String {
    format!(
        "targetRepoPrefix: \"{mirror}/external/\"\n\
         images:\n\
         \x20 - source: \"{upstream}/library/hello:1.0\"\n\
         \x20 - source: \"{upstream}/team/web:2.1\"\n\
         \x20   platforms: [\"linux/arm64\"]\n\
         \x20   tag: \"2.1-arm64\"\n\
         \x20 - source: \"{upstream}/team/web:2.1\"\n\
         \x20 - source: \"{upstream}/team/api:3.0.1\"   # signed, with an SBOM and provenance\n"
    )
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

fn fresh(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to make the folder {}", folder.display()))?;
    let mut content =
        std::fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    if content.next().is_some() {
        bail!("the folder {} is not empty; name a new one", folder.display());
    }
    Ok(folder.to_owned())
}

fn next(keep: Option<&Path>) -> String {
    let kept = keep.map(|folder| {
        let folder = folder.display();
        format!(
            "  {folder}/external-images.yaml   the list
  {folder}/report-4.json          the last run, for programs; summary.md is for people
  image-syncer serve --root {folder}/mirror   what the mirror holds, as a registry again;
      `cosign verify --key {folder}/cosign.pub --insecure-ignore-tlog` verifies team/api:3.0.1 there
"
        )
    });
    let kept = kept.unwrap_or_else(|| {
        "  image-syncer demo --keep demo   the same, and keep the list, the reports and both registries\n"
            .to_owned()
    });
    format!(
        "
What to try next
{kept}  image-syncer schema > external-images.schema.json   completion and checks in your editor
  image-syncer plan -i external-images.yaml -r registry.example.com/mirror/   your own list
"
    )
}

/// What the commands of the story share.
struct Story<'a> {
    /// Where the reports are kept, if they are.
    reports: Option<&'a Path>,
    list: &'a Path,
    surroundings: &'a Surroundings,
}

impl Story<'_> {
    async fn tell(&self, step: &Step<'_>) -> anyhow::Result<()> {
        let mut typed: Vec<OsString> = vec!["image-syncer".into()];
        typed.extend(step.arguments.iter().map(OsString::from));
        typed.extend([OsString::from("-i"), self.list.into()]);
        if let Some(folder) = self.reports {
            let number = step.said.split('.').next().unwrap_or_default();
            typed.extend([OsString::from("--report"), folder.join(format!("report-{number}.json")).into()]);
            typed.extend([OsString::from("--summary"), folder.join("summary.md").into()]);
        }
        let shown: Vec<_> = typed.iter().map(|word| word.to_string_lossy()).collect();
        print(&format!("\n{}\n\n$ {}\n", step.said, shown.join(" ")))?;
        // Progress is for runs that take a while.
        let quiet = [("SYNCER_PROGRESS".into(), "never".into())];
        let cli = cli::parse(typed, quiet).context("failed to read the demo's own command line")?;
        let code = Box::pin(super::run(cli, self.surroundings.clone())).await;
        if code != step.code {
            bail!("the command ended with exit code {code}, where {} was expected", step.code);
        }
        Ok(())
    }
}

/// A registry on a free loopback port.
struct Registry {
    host: String,
    store: Arc<dyn Backend>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Registry {
    async fn start(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let store: Arc<dyn Backend> = match folder {
            None => Arc::new(Memory::new()),
            Some(folder) => Arc::new(Layout::new(folder)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen on 127.0.0.1")?;
        let host = listener.local_addr().context("failed to learn the port")?.to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            // A sender that is gone means the end as well.
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve::serve(listener, serve::router(Arc::clone(&store)), shutdown));
        Ok(Self { host, store, stop, task })
    }

    async fn stop(self) -> anyhow::Result<()> {
        // If it has ended already, the next line says why.
        let _ = self.stop.send(());
        self.task.await.context("the demo's registry failed")?.context("the demo's registry failed")
    }
}
