//! Text to values: durations and sizes as people write them, with errors that name
//! the key, the value, what is allowed, and where the value came from.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) String);

/// All settings as text, with their origins.
pub(crate) struct Values {
    pub(crate) values: BTreeMap<&'static str, (String, Origin)>,
    pub(crate) problems: Vec<String>,
}

impl Values {
    /// Reads one value; a value that does not fit becomes a problem, and `fallback` stands in for it.
    pub(crate) fn read<T>(&mut self, key: &'static str, fallback: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        let Some((text, Origin(origin))) = self.values.get(key) else {
            self.problems.push(format!("{key} is read but is no setting"));
            return fallback;
        };
        parse(text).unwrap_or_else(|why| {
            self.problems.push(format!("{key} = {text:?} ({origin}): {why}"));
            fallback
        })
    }

    pub(crate) fn text(&mut self, key: &'static str) -> String {
        self.read(key, String::new(), |text| Ok(text.to_owned()))
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> bool {
        self.read(key, false, |text| text.parse().map_err(|_| "must be true or false".to_owned()))
    }

    pub(crate) fn duration(&mut self, key: &'static str, least: &str, most: &str) -> Duration {
        self.read(key, Duration::ZERO, |text| {
            within(duration(text)?, duration(least)?, duration(most)?, least, most)
        })
    }

    pub(crate) fn size(&mut self, key: &'static str, least: u64) -> u64 {
        self.read(key, 0, |text| within(size(text)?, least, u64::MAX >> 1, least, "8 EiB"))
    }

    pub(crate) fn number(&mut self, key: &'static str, least: u64, most: u64) -> u64 {
        self.read(key, least, |text| {
            let number = text.parse().map_err(|_| "must be a whole number".to_owned())?;
            within(number, least, most, least, most)
        })
    }

    pub(crate) fn count(&mut self, key: &'static str, least: u64, most: u64) -> usize {
        usize::try_from(self.number(key, least, most)).unwrap_or(usize::MAX)
    }

    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> T {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        self.read(key, choices[0].1, |text| {
            choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("must be one of {}", names.join(", ")))
        })
    }
}

fn within<T: PartialOrd>(value: T, least: T, most: T, shown_least: impl Display, shown_most: impl Display) -> Result<T, String> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("must be between {shown_least} and {shown_most}"))
    }
}

/// `60s`, `5m`, `24h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "must be a number with a unit: 60s, 5m, 24h, 7d".to_owned();
    let seconds = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(bad()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(bad)
}

/// Bytes, or `64KiB`, `4MiB`, `100GiB`, `1TiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let bad = || "must be a number of bytes, or a number with a unit: 64KiB, 4MiB, 100GiB, 1TiB".to_owned();
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let (digits, shift) = units
        .iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|digits| (digits, *shift)))
        .unwrap_or((text, 0));
    let number: u64 = digits.trim_end().parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

/// An address, or a network as address and prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is neither an address nor a network such as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (
                address.parse::<IpAddr>().map_err(|_| bad())?,
                Some(prefix.parse::<u32>().map_err(|_| bad())?),
            ),
            None => (text.parse::<IpAddr>().map_err(|_| bad())?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most { Err(bad()) } else { Ok(Self { address, prefix }) }
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        // An IPv4 client of an IPv6 socket comes as ::ffff:a.b.c.d.
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - self.prefix;
                u32::from(network).checked_shr(shift) == u32::from(address).checked_shr(shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - self.prefix;
                u128::from(network).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            _ => false,
        }
    }
}
