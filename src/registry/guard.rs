//! Which addresses may be connected to. In the event of a pull request the list's author is a stranger, and
//! must not reach through us what only we can reach: this machine, the networks behind it, the metadata
//! service of its cloud.
//!
//! Names are resolved here and the connection goes to the addresses that were checked, so that a name cannot
//! stand for another address a moment later. Literal addresses never come to a resolver: they are checked in
//! the URL, as are those that redirects and token services lead to.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// All.
    #[default]
    Anywhere,
    /// Those of the public Internet; and what the operator chose: the registry that images go to with its token
    /// service, and endpoints. The proxy of the environment is not used: it would resolve names by itself, to whatever
    /// it likes.
    Public,
    /// As [`Reach::Public`], and nobody is told whether a name that is refused stands for a private address or for
    /// none: a stranger could ask our name server so.
    PublicForStrangers,
    /// As [`Reach::Public`], as far as addresses are written out; what names stand for is left to the proxy.
    PublicByProxy,
}

/// An address that must not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// For people who may know where it is.
    #[error(
        "{name} is at {address}, {}, which a pull request must not reach; an operator can allow it with \
         `allow-private-networks`",
        kind(*.address).unwrap_or("no public address")
    )]
    At { name: String, address: IpAddr },
    /// For strangers. There may be no such name as well.
    #[error(
        "{name} has no public address that is known here, and a pull request must not reach any other; an operator can \
         allow it with `allow-private-networks`"
    )]
    Somewhere { name: String },
}

/// IPv4 ranges that are not the public Internet, by their first address and the length of their prefix
/// (IANA IPv4 Special-Purpose Address Registry), and addresses at which clouds answer their own machines.
const SPECIAL_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(168, 63, 129, 16), 32, "the metadata service of a cloud"),
    (Ipv4Addr::new(100, 100, 100, 200), 32, "the metadata service of a cloud"),
    (Ipv4Addr::new(169, 254, 169, 254), 32, "the metadata service of a cloud"),
    (Ipv4Addr::UNSPECIFIED, 8, "this machine"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "this machine"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private network"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private network"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private network"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a shared network"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a reserved address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a reserved address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a reserved address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a reserved address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// IPv6 ranges (IANA IPv6 Special-Purpose Address Registry). What is outside of `2000::/3` is refused as well:
/// nothing public is there.
const SPECIAL_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::LOCALHOST, 128, "this machine"),
    (Ipv6Addr::UNSPECIFIED, 128, "this machine"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, "the metadata service of a cloud"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a private network"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "a link-local address"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "a private network"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a reserved address"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "a reserved address"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "a reserved address"),
];

/// The public part of IPv6.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What an address is, if it is none of the public Internet. An IPv6 address that stands for an IPv4 address
/// is as that one.
fn kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => Some(kind_v4(inner).unwrap_or("an IPv4 address in disguise")),
            None => kind_v6(address),
        },
    }
}

fn kind_v4(address: Ipv4Addr) -> Option<&'static str> {
    let is_in = |first: Ipv4Addr, length: u32| {
        let mask = u32::MAX << (32 - length);
        address.to_bits() & mask == first.to_bits()
    };
    SPECIAL_V4.iter().find(|(first, length, _)| is_in(*first, *length)).map(|(_, _, kind)| *kind)
}

fn kind_v6(address: Ipv6Addr) -> Option<&'static str> {
    let is_in = |first: Ipv6Addr, length: u32| {
        let mask = u128::MAX << (128 - length);
        address.to_bits() & mask == first.to_bits()
    };
    let special = SPECIAL_V6.iter().find(|(first, length, _)| is_in(*first, *length));
    match special {
        Some((_, _, kind)) => Some(kind),
        None if is_in(PUBLIC_V6.0, PUBLIC_V6.1) => None,
        None => Some("a reserved address"),
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped and compatible ones (RFC 4291), NAT64 (RFC 6052),
/// 6to4 (RFC 3056). None of them is how a registry on the Internet is reached.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0x64, 0xff9b, 0 | 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some(inner(high, low)),
        _ => None,
    }
}

/// Fails if an address must not be connected to. `name` is who is said to be there.
fn check(name: &str, address: IpAddr) -> Result<(), Refused> {
    match kind(address) {
        None => Ok(()),
        Some(_) => Err(Refused::At { name: name.to_owned(), address }),
    }
}

/// Fails if the host of a URL is the literal form of an address that must not be connected to.
pub(super) fn check_literal(url: &Url) -> Result<(), Refused> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    check(&address.to_string(), address)
}

/// What a name stands for.
type Lookup = fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// A resolver of names that gives public addresses only.
pub(super) struct Resolver {
    lookup: Lookup,
    is_discreet: bool,
}

impl Resolver {
    /// `is_discreet` says that nobody is to learn more of a name than that it is of no use.
    pub(super) fn new(is_discreet: bool) -> Self {
        fn system(name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        }
        Self { lookup: system, is_discreet }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolve for Resolver {
    /// One address that is not public is enough to refuse the name: it would be tried in its turn.
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let is_discreet = self.is_discreet;
        Box::pin(async move {
            let public = public(name.as_str(), found.await);
            let addresses = if is_discreet {
                public.map_err(|_| Refused::Somewhere { name: name.as_str().to_owned() })?
            } else {
                public?
            };
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// What a name stands for, if all of it is public.
fn public(
    name: &str,
    found: io::Result<Vec<SocketAddr>>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let addresses = found?;
    for address in &addresses {
        check(name, address.ip())?;
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> Option<&'static str> {
        kind(text.parse().expect("an address"))
    }

    #[test]
    fn what_is_not_public_is_told_by_its_kind() {
        let table = [
            ("127.0.0.1", "this machine"),
            ("127.255.255.254", "this machine"),
            ("0.0.0.0", "this machine"),
            ("10.0.0.1", "a private network"),
            ("172.16.0.1", "a private network"),
            ("172.31.255.255", "a private network"),
            ("192.168.1.1", "a private network"),
            ("100.64.0.1", "a shared network"),
            ("169.254.1.1", "a link-local address"),
            ("169.254.169.254", "the metadata service of a cloud"),
            ("168.63.129.16", "the metadata service of a cloud"),
            ("100.100.100.200", "the metadata service of a cloud"),
            ("224.0.0.1", "a multicast address"),
            ("255.255.255.255", "a reserved address"),
            ("198.18.0.1", "a reserved address"),
            ("::1", "this machine"),
            ("::", "this machine"),
            ("fe80::1", "a link-local address"),
            ("fd12:3456::1", "a private network"),
            ("fd00:ec2::254", "the metadata service of a cloud"),
            ("ff02::1", "a multicast address"),
            ("2001:db8::1", "a reserved address"),
            ("64:ff9b:2::1", "a reserved address"),
            ("::ffff:127.0.0.1", "this machine"),
            ("::ffff:10.1.2.3", "a private network"),
            ("::10.1.2.3", "a private network"),
            ("64:ff9b::a9fe:a9fe", "the metadata service of a cloud"),
            ("2002:7f00:1::", "this machine"),
            ("::ffff:8.8.8.8", "an IPv4 address in disguise"),
        ];
        for (address, expected) in table {
            assert_eq!(refused(address), Some(expected), "{address}");
        }
        for public in
            ["8.8.8.8", "172.15.255.255", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]
        {
            assert_eq!(refused(public), None, "{public}");
        }
    }

    proptest! {
        /// The table says what std says, where std has a word for it.
        #[test]
        fn the_table_is_no_wider_than_it_should_be(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let known = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            if known {
                prop_assert!(kind(address.into()).is_some(), "{}", address);
            }
            prop_assert_eq!(
                kind(address.to_ipv6_mapped().into()).is_some(), true, "a mapped address is never used: {}", address
            );
        }
    }

    #[test]
    fn literal_addresses_are_seen_in_whatever_form() {
        let check = |url: &str| check_literal(&Url::parse(url).expect("a URL"));
        for url in [
            "https://127.0.0.1/v2/",
            "https://2130706433/",
            "https://0x7f.1/",
            "http://[::1]:5000/",
            "http://[::ffff:169.254.169.254]/latest/meta-data/",
            "http://0/",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
        assert_eq!(check("https://1.1.1.1/"), Ok(()));
        // A name is for the resolver.
        assert_eq!(check("https://localhost/"), Ok(()));
    }

    fn addresses(list: &'static [&'static str]) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async {
            Ok(list.iter().map(|it| SocketAddr::new(it.parse().expect("an address"), 0)).collect())
        })
    }

    #[tokio::test]
    async fn a_name_is_as_private_as_the_most_private_of_its_addresses() {
        #[expect(clippy::needless_pass_by_value, reason = "the type of a lookup")]
        fn lookup(name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            match name.as_str() {
                "public.example.com" => addresses(&["8.8.8.8", "2606:4700::1111"]),
                "mixed.example.com" => addresses(&["8.8.8.8", "10.0.0.7"]),
                "nobody.example.com" => Box::pin(async { Err(io::Error::other("no such name")) }),
                _ => addresses(&["::ffff:127.0.0.1"]),
            }
        }
        let resolver = |is_discreet| Resolver { lookup, is_discreet };
        let resolve = async |name: &str| resolver(false).resolve(name.parse().expect("a name")).await;
        let found: Vec<_> =
            resolve("public.example.com").await.map_err(|e| e.to_string()).expect("public").collect();
        assert_eq!(found.len(), 2);
        for name in ["mixed.example.com", "rebound.example.com"] {
            let error = resolve(name).await.err().expect("refused").to_string();
            assert!(error.contains(name) && error.contains("allow-private-networks"), "{error}");
        }
        // A stranger cannot tell a private name from one that nobody has.
        let told = async |name: &str| {
            let found = resolver(true).resolve(name.parse().expect("a name")).await;
            let error = found.err().expect("refused");
            assert!(error.is::<Refused>(), "what is refused is not tried again");
            error.to_string().replace(name, "NAME")
        };
        let private = told("mixed.example.com").await;
        assert_eq!(private, told("nobody.example.com").await);
        assert!(!private.contains("10.0.0.7") && private.contains("allow-private-networks"), "{private}");
        assert!(resolver(true).resolve("public.example.com".parse().expect("a name")).await.is_ok());
    }
}
