//! What is known of registries: in what each differs from the specification, or narrows it.
//!
//! A [`Profile`] is found by a registry's name, and better by what it answers where its name says nothing. It is
//! knowledge, and not trust: whatever it says, every answer is checked as it would be without it.
//!
//! Most of what registries do is met by doing what the specification lets everybody do, at every registry alike.
//! The rest is data in `KNOWN`. What is met where:
//!
//! | Registry | What it does | Met by |
//! |---|---|---|
//! | Docker Hub | a GET of a manifest counts as a pull, a HEAD does not | everywhere: HEAD where it answers (`manifest`, `inspect`) |
//! | Docker Hub | tells what is left of a quota in headers | everywhere: no pull is sent beyond it (`quota`); `examination` shows them |
//! | Docker Hub | refuses a mount from another registry's repository | everywhere: mounts only name repositories of the same registry (`blob`, `copy/blob`) |
//! | Docker Hub, Quay | 401 for a repository that does not exist | [`Profile::hides_absence`]: the error says so; a target is asked with the right to push |
//! | GHCR | at most 4 MiB for a chunk, and reports on chunks conflict | [`Profile::chunks`] |
//! | GHCR | no referrers API; redirects to a web page | everywhere: no redirect to another host, then the fallback tag (`referrers`) |
//! | GHCR | asks for a pause in words, as Go prints it | everywhere (`retry`) |
//! | ECR | a repository has to be there before a push | [`Profile::repositories`]: the error has the command; `creation`, where the operator allows it |
//! | ECR | chunks are answered with a stale range | [`Profile::chunks`] |
//! | ECR | a pushed manifest's answer may lack `Location` | everywhere: none is looked for (`manifest`) |
//! | ECR | refuses to write an immutable tag again, with the same digest too | everywhere: HEAD before and after (`copy/image`) |
//! | ECR | 405 for some manifests with a subject | everywhere: the failure names the artifact (`error`) |
//! | ECR | pages of at most 1000 tags | [`Profile::page_size`] |
//! | GAR, and others with immutable tags | the fallback tag of referrers cannot grow | everywhere: the API is looked for before; the error says what to exempt (`referrers`) |
//! | ACR | the token service limits its rate | [`Profile::tokens_one_by_one`] |
//! | ACR | a login takes several exchanges | `credentials`: what comes out of them is a user and a password |
//! | ACR | a PUT of more than 20 MB was reported to fail | nothing: nobody confirmed it |
//! | Quay | a mount without `from` fails | everywhere: `from` is always sent (`blob`) |
//! | Quay | no `OCI-Subject` in spite of the API | everywhere: the API is looked for before a fallback index is written (`referrers`) |
//! | Quay | refuses configs of types that it does not know | everywhere: the refusal is told as it is (`error`) |
//! | GitLab | the fallback tag stands for the subject itself | everywhere: such an index is none (`referrers`) |
//! | Harbor | 401 for a mount from a foreign project | everywhere: the blob is sent instead (`blob`) |
//! | Artifactory | 403 for a manifest that is not there | everywhere: a 403 is "unknown"; [`Profile::hides_absence`]: the error says so |
//! | Artifactory | lists what is no referrer | everywhere: the subject of each is checked (`trust`) |
//! | Nexus | refuses an index without all its children | everywhere: children come first; [`Profile::wants_whole_indexes`]: the error says what to do |
//! | pull-through caches | claim content that they do not have | everywhere: what a push calls unknown is sent again (`copy/image`) |
//! | proxies in front | 413 for large bodies | [`Profile::chunks`] says whether chunks are an answer |
//! | distribution 2.8 | no referrers API; mounts from the same repository; refuses `urls` | everywhere (`referrers`, `blob`, `manifest`) |
//! | distribution 2.8 | ignores `If-None-Match`; cancelling an upload takes the right to delete | everywhere: the one is never sent, and no upload cancelled but by `examination` |
//! | zot with an anonymous policy, Harbor's private projects | 403 or 404 to strangers, who are not asked who they are | everywhere: the login is shown as the front page says (`strangers`) |
//! | Harbor, others | `DENIED` also where a quota is used up | everywhere: the error says so (`error`) |
//! | all with scopes | a mount needs `pull` on the repository that is mounted from | everywhere: both scopes are asked for (`blob`) |

mod advice;

use std::fmt;

use http::HeaderMap;

use crate::oci::Registry;

/// Whether blobs can be uploaded in chunks (distribution-spec, "Pushing a blob in chunks").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunks {
    /// It is known, or feared, to go wrong.
    Never,
    /// Nothing is known against it.
    Allowed {
        /// The most bytes of a chunk, where the registry has a limit.
        at_most: Option<u64>,
    },
}

impl fmt::Display for Chunks {
    /// `never`, `allowed` or `at most 8 MiB each`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Allowed { at_most: None } => f.write_str("allowed"),
            Self::Allowed { at_most: Some(bytes) } if bytes % (1024 * 1024) == 0 => {
                write!(f, "at most {} MiB each", bytes / (1024 * 1024))
            }
            Self::Allowed { at_most: Some(bytes) } => write!(f, "at most {bytes} bytes each"),
        }
    }
}

/// How referrers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referrers {
    /// By the API, and under the fallback tag where the registry turns out to have none.
    Probe,
    /// Under the fallback tag only: the API is never asked.
    Tags,
}

/// Which registry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Docker Hub.
    DockerHub,
    /// GitHub's container registry.
    Ghcr,
    /// Amazon ECR.
    Ecr,
    /// Amazon ECR Public.
    EcrPublic,
    /// Google Artifact Registry.
    Gar,
    /// Azure Container Registry.
    Acr,
    /// Quay.
    Quay,
    /// GitLab's container registry.
    GitLab,
    /// Harbor.
    Harbor,
    /// `JFrog` Artifactory.
    Artifactory,
    /// Sonatype Nexus Repository.
    Nexus,
    /// Any other.
    Generic,
}

impl Kind {
    /// The kind that a policy calls so.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        KNOWN.iter().find(|known| known.word == word).map(|known| known.kind)
    }

    /// What a policy calls it: `docker-hub`, `ghcr`, ….
    #[must_use]
    pub fn word(self) -> &'static str {
        self.known().word
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.known().name
    }

    fn known(self) -> &'static Known {
        KNOWN.iter().find(|known| known.kind == self).unwrap_or(&GENERIC)
    }
}

/// Whether a push creates the repository that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repositories {
    /// It does, as far as anybody knows.
    OnPush,
    /// Somebody has to create it, or what it belongs to, before.
    Beforehand,
}

/// By what a profile was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The registry's name matches this pattern.
    Name(&'static str),
    /// It answered with this header.
    Header(&'static str),
    /// The operator's policy says so.
    Policy,
    /// Nothing: it is the profile of whoever is not known.
    Nothing,
}

impl fmt::Display for Evidence {
    /// To fit "…, because …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => write!(f, "its name matches `{pattern}`"),
            Self::Header(name) => write!(f, "its `{name}` header says so"),
            Self::Policy => f.write_str("the policy says so"),
            Self::Nothing => f.write_str("neither its name nor its answers say what it is"),
        }
    }
}

/// What is known of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Which registry it is.
    pub kind: Kind,
    /// How that is known.
    pub evidence: Evidence,
    /// Whether an upload may go on in chunks.
    pub chunks: Chunks,
    /// Whether blobs are mounted from repositories of the same registry.
    pub mount: bool,
    /// How referrers are found.
    pub referrers: Referrers,
    /// So many tags are asked for in one page.
    pub page_size: u16,
    /// Whether a push creates its repository.
    pub repositories: Repositories,
    /// The status, 401 or 403, that can also mean that something is not there.
    pub hides_absence: Option<u16>,
    /// Whether it refuses an index that names a child which it does not have.
    pub wants_whole_indexes: bool,
    /// Whether its token service is asked for one token at a time.
    pub tokens_one_by_one: bool,
}

/// What the operator states of a registry; it is stronger than what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Which registry it is.
    pub kind: Option<Kind>,
    /// Instead of [`Profile::chunks`].
    pub chunks: Option<Chunks>,
    /// Instead of [`Profile::mount`].
    pub mount: Option<bool>,
    /// Instead of [`Profile::referrers`].
    pub referrers: Option<Referrers>,
    /// Instead of [`Profile::page_size`].
    pub page_size: Option<u16>,
}

/// A row of what is known.
struct Known {
    kind: Kind,
    word: &'static str,
    name: &'static str,
    /// Patterns of its names; `*` stands for any characters.
    hosts: &'static [&'static str],
    /// Headers by which it shows itself, and what is in their values.
    headers: &'static [(&'static str, &'static str)],
    chunks: Chunks,
    repositories: Repositories,
    hides_absence: Option<u16>,
    wants_whole_indexes: bool,
    tokens_one_by_one: bool,
}

/// Chunks are part of the specification, and an upload that goes wrong in them is begun anew: whoever is not known
/// may be sent some, where one request does not do. Tried: docker-registry 2.8, zot 1.4 and olareg take chunks in their
/// order; after a request that broke the first two forget the upload, so that it starts anew, and olareg goes on.
const GENERIC: Known = Known {
    kind: Kind::Generic,
    word: "generic",
    name: "a registry of no known kind",
    hosts: &[],
    headers: &[],
    chunks: Chunks::Allowed { at_most: None },
    repositories: Repositories::OnPush,
    hides_absence: None,
    wants_whole_indexes: false,
    tokens_one_by_one: false,
};

/// The largest chunk that GHCR takes, where the operator has it sent any.
const GHCR_CHUNK: u64 = 4 * 1024 * 1024;

/// No page of tags is larger at ECR, and nobody is known to mind one of that size.
const PAGE: u16 = 1000;

/// All that differ.
const KNOWN: [Known; 12] = [
    Known {
        kind: Kind::DockerHub,
        word: "docker-hub",
        name: "Docker Hub",
        hosts: &["docker.io"],
        hides_absence: Some(401),
        ..GENERIC
    },
    Known {
        kind: Kind::Ghcr,
        word: "ghcr",
        name: "GitHub's container registry",
        hosts: &["ghcr.io", "containers.*.ghe.com"],
        chunks: Chunks::Never,
        ..GENERIC
    },
    Known {
        kind: Kind::Ecr,
        word: "ecr",
        name: "Amazon ECR",
        hosts: &["*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn", "*.dkr-ecr.*.on.aws"],
        chunks: Chunks::Never,
        repositories: Repositories::Beforehand,
        ..GENERIC
    },
    Known {
        kind: Kind::EcrPublic,
        word: "ecr-public",
        name: "Amazon ECR Public",
        hosts: &["public.ecr.aws"],
        chunks: Chunks::Never,
        repositories: Repositories::Beforehand,
        ..GENERIC
    },
    Known {
        kind: Kind::Gar,
        word: "gar",
        name: "Google Artifact Registry",
        hosts: &["*-docker.pkg.dev", "docker.pkg.dev", "gcr.io", "*.gcr.io"],
        repositories: Repositories::Beforehand,
        ..GENERIC
    },
    Known {
        kind: Kind::Acr,
        word: "acr",
        name: "Azure Container Registry",
        hosts: &["*.azurecr.io", "*.azurecr.cn", "*.azurecr.us"],
        tokens_one_by_one: true,
        ..GENERIC
    },
    Known {
        kind: Kind::Quay,
        word: "quay",
        name: "Quay",
        hosts: &["quay.io"],
        headers: &[("www-authenticate", "/v2/auth,")],
        hides_absence: Some(401),
        ..GENERIC
    },
    Known {
        kind: Kind::GitLab,
        word: "gitlab",
        name: "GitLab's container registry",
        hosts: &["registry.gitlab.com"],
        headers: &[("www-authenticate", "service=container_registry")],
        ..GENERIC
    },
    Known {
        kind: Kind::Harbor,
        word: "harbor",
        name: "Harbor",
        headers: &[("www-authenticate", "service=harbor-registry")],
        repositories: Repositories::Beforehand,
        ..GENERIC
    },
    Known {
        kind: Kind::Artifactory,
        word: "artifactory",
        name: "JFrog Artifactory",
        hosts: &["*.jfrog.io"],
        headers: &[("x-jfrog-version", ""), ("x-artifactory-id", ""), ("server", "Artifactory/")],
        hides_absence: Some(403),
        ..GENERIC
    },
    Known {
        kind: Kind::Nexus,
        word: "nexus",
        name: "Sonatype Nexus Repository",
        headers: &[("server", "Nexus/")],
        wants_whole_indexes: true,
        ..GENERIC
    },
    GENERIC,
];

impl Known {
    const fn profile(&self, evidence: Evidence) -> Profile {
        Profile {
            kind: self.kind,
            evidence,
            chunks: self.chunks,
            mount: true,
            referrers: Referrers::Probe,
            page_size: PAGE,
            repositories: self.repositories,
            hides_absence: self.hides_absence,
            wants_whole_indexes: self.wants_whole_indexes,
            tokens_one_by_one: self.tokens_one_by_one,
        }
    }
}

impl Profile {
    /// What is known of a registry by its name.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let named = KNOWN.iter().find_map(|known| {
            let pattern = known.hosts.iter().find(|pattern| matches(pattern, registry.as_str()))?;
            Some(known.profile(Evidence::Name(pattern)))
        });
        named.unwrap_or_else(|| GENERIC.profile(Evidence::Nothing))
    }

    /// What is known of a registry that sends these headers; `None` if they say nothing.
    #[must_use]
    pub fn of_answer(headers: &HeaderMap) -> Option<Self> {
        // Quotes are a matter of taste in challenges.
        let shows = |value: &str, part: &str| value.replace('"', "").contains(part);
        let says = |(name, part): &(&str, &str)| {
            headers.get_all(*name).iter().any(|value| value.to_str().is_ok_and(|value| shows(value, part)))
        };
        KNOWN.iter().find_map(|known| {
            let (name, _) = known.headers.iter().find(|clue| says(clue))?;
            Some(known.profile(Evidence::Header(name)))
        })
    }

    /// The same with what the operator states.
    #[must_use]
    pub fn with(self, stated: &Overrides) -> Self {
        let base = stated.kind.map_or(self, |kind| kind.known().profile(Evidence::Policy));
        let chunks = match (stated.chunks, base.kind) {
            (Some(Chunks::Allowed { at_most: None }), Kind::Ghcr) => {
                Chunks::Allowed { at_most: Some(GHCR_CHUNK) }
            }
            (Some(chunks), _) => chunks,
            (None, _) => base.chunks,
        };
        Self {
            chunks,
            mount: stated.mount.unwrap_or(base.mount),
            referrers: stated.referrers.unwrap_or(base.referrers),
            page_size: stated.page_size.unwrap_or(base.page_size),
            ..base
        }
    }
}

/// Whether `name` is as the pattern says, in which `*` stands for any characters, at least one.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    (1..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Profile {
        Profile::of(&name.parse().expect("a registry"))
    }

    #[test]
    fn registries_are_known_by_their_names() {
        for (name, kind, pattern) in [
            ("docker.io", Kind::DockerHub, "docker.io"),
            ("ghcr.io", Kind::Ghcr, "ghcr.io"),
            ("containers.octo.ghe.com", Kind::Ghcr, "containers.*.ghe.com"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Kind::Ecr, "*.dkr.ecr.*.amazonaws.com"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Kind::Ecr, "*.dkr.ecr.*.amazonaws.com.cn"),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", Kind::Ecr, "*.dkr-ecr.*.on.aws"),
            ("public.ecr.aws", Kind::EcrPublic, "public.ecr.aws"),
            ("europe-docker.pkg.dev", Kind::Gar, "*-docker.pkg.dev"),
            ("eu.gcr.io", Kind::Gar, "*.gcr.io"),
            ("team.azurecr.io", Kind::Acr, "*.azurecr.io"),
            ("quay.io", Kind::Quay, "quay.io"),
            ("registry.gitlab.com", Kind::GitLab, "registry.gitlab.com"),
            ("team.jfrog.io", Kind::Artifactory, "*.jfrog.io"),
        ] {
            let found = of(name);
            assert_eq!((found.kind, found.evidence), (kind, Evidence::Name(pattern)), "{name}");
        }
        for stranger in [
            "registry.example.com",
            "ghcr.io.example.com",
            "azurecr.io",
            "127.0.0.1:5000",
            "x.dkr.ecr.eu-west-1.amazonaws.com.example.com",
        ] {
            assert_eq!((of(stranger).kind, of(stranger).evidence), (Kind::Generic, Evidence::Nothing));
        }
    }

    #[test]
    fn registries_are_known_by_their_answers() {
        let answer = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            Profile::of_answer(&headers).map(|profile| (profile.kind, profile.evidence))
        };
        let challenge = "www-authenticate";
        let by_challenge = |kind| Some((kind, Evidence::Header(challenge)));
        assert_eq!(
            answer(challenge, r#"Bearer realm="https://h/service/token",service="harbor-registry""#),
            by_challenge(Kind::Harbor)
        );
        assert_eq!(
            answer(challenge, r#"Bearer realm="https://g/jwt/auth",service="container_registry""#),
            by_challenge(Kind::GitLab)
        );
        assert_eq!(
            answer(challenge, r#"Bearer realm="https://q/v2/auth",service="q""#),
            by_challenge(Kind::Quay)
        );
        assert_eq!(answer("server", "Nexus/3.70.1 (PRO)"), Some((Kind::Nexus, Evidence::Header("server"))));
        let artifactory = Some((Kind::Artifactory, Evidence::Header("x-jfrog-version")));
        assert_eq!(answer("x-jfrog-version", "Artifactory/7.90"), artifactory);
        assert_eq!(
            answer(challenge, "Bearer realm=https://g/jwt/auth,service=container_registry"),
            by_challenge(Kind::GitLab),
            "without quotes"
        );
        assert_eq!(answer("server", "nginx"), None);
        assert_eq!(answer(challenge, r#"Bearer realm="https://a/token",service="a""#), None);
    }

    #[test]
    fn the_operator_knows_better() {
        let stated = Overrides { chunks: Some(Chunks::Never), page_size: Some(100), ..Overrides::default() };
        let hub = of("docker.io").with(&stated);
        assert_eq!((hub.kind, hub.chunks, hub.page_size), (Kind::DockerHub, Chunks::Never, 100));
        assert_eq!(hub.hides_absence, Some(401));
        let stated = Overrides { kind: Some(Kind::Artifactory), mount: Some(false), ..Overrides::default() };
        let named = of("registry.example.com").with(&stated);
        assert_eq!((named.kind, named.evidence), (Kind::Artifactory, Evidence::Policy));
        assert_eq!((named.hides_absence, named.mount), (Some(403), false));
        let allowed = Overrides { chunks: Some(Chunks::Allowed { at_most: None }), ..Overrides::default() };
        assert_eq!(of("quay.io").with(&allowed).chunks, Chunks::Allowed { at_most: None });
        assert_eq!(of("ghcr.io").with(&allowed).chunks, Chunks::Allowed { at_most: Some(4 * 1024 * 1024) });
        for known in &KNOWN {
            assert_eq!(Kind::of_word(known.word), Some(known.kind));
        }
    }
}
