//! Tar, pushed in: looks at every entry, keeps Chart.yaml and what else is wanted, unpacks nothing.
//!
//! Headers are read raw, and what two readers could understand differently (a size that stands twice, a folder with
//! content, a file of one name twice) is refused: Helm would read another chart than the one that was looked at.

use super::fault;
use super::header::{BLOCK, check_sum, dialect, has_type_of_file, is_folder_by_mode};
use super::parts::{Kept, Part};
use super::path::{Path, is_drive, shown};
use granary_storage::limits::Limits;
use granary_storage::{Digest, Error, ErrorKind, Result, What};
use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;
use tar::{EntryType, Header, PaxExtensions};

/// A name that a header of its own carries, and such a header of attributes, at most.
const LONG_NAME_MAX: u64 = 4096;
const ATTRIBUTES_MAX: u64 = 64 * 1024;
const CHART_YAML: &str = "Chart.yaml";
/// Bytes that a file stands for when it is kept, besides its path and its content: nobody gets an empty one for nothing.
const KEPT_FILE: u64 = 256;

/// What is kept of an archive.
#[derive(Debug)]
pub(super) struct Found {
    /// Chart.yaml, as it is.
    pub(super) chart_yaml: Vec<u8>,
    /// When it was last changed, by the archive: seconds since 1970.
    pub(super) modified: i64,
    /// The files of the part that was wanted, in their order.
    pub(super) kept: Vec<Kept>,
}

/// What the bytes that come next are.
enum State {
    Header,
    Content {
        of: Content,
        left: u64,
        padding: u64,
        bytes: Vec<u8>,
    },
    Padding(u64),
    /// Behind the mark of the end, two empty blocks.
    Ended,
}

/// What an entry's content is for.
#[derive(Clone, Copy)]
enum Content {
    Nothing,
    Name,
    Attributes,
    Remarks,
    ChartYaml { modified: i64 },
    Wanted,
}

/// Attributes of the entry that follows.
#[derive(Default)]
struct Ahead {
    given: bool,
    name: Option<Vec<u8>>,
    modified: Option<i64>,
}

/// The archive as far as it has come.
pub(super) struct Walk {
    limits: Arc<Limits>,
    state: State,
    header: [u8; BLOCK],
    filled: usize,
    unpacked: u64,
    entries: usize,
    /// Whether the last block was empty.
    blank: bool,
    ahead: Ahead,
    top: Option<String>,
    /// The paths of the files that came, as digests, so that long ones take no more memory than short ones.
    seen: HashSet<Digest>,
    found: Option<Found>,
    wanted: Option<Part>,
    /// The name of the wanted file that is coming.
    coming: String,
    kept: Vec<Kept>,
    kept_bytes: u64,
    fault: Option<Error>,
}

impl Walk {
    /// Nothing has come yet; besides Chart.yaml, `wanted` is kept.
    pub(super) fn new(limits: Arc<Limits>, wanted: Option<Part>) -> Self {
        Self {
            limits,
            state: State::Header,
            header: [0; BLOCK],
            filled: 0,
            unpacked: 0,
            entries: 0,
            blank: false,
            ahead: Ahead::default(),
            top: None,
            seen: HashSet::new(),
            found: None,
            wanted,
            coming: String::new(),
            kept: Vec::new(),
            kept_bytes: 0,
            fault: None,
        }
    }

    /// The fault that made a write fail.
    pub(super) fn take_fault(&mut self) -> Option<Error> {
        self.fault.take()
    }

    /// Once everything has come.
    pub(super) fn finish(self) -> Result<Found> {
        let whole = match self.state {
            State::Ended => true,
            State::Header => self.filled == 0,
            State::Content { .. } | State::Padding(_) => false,
        };
        if !whole {
            return Err(fault("the archive ends in the middle of an entry"));
        }
        let found = self.found;
        let found = found.ok_or_else(|| fault("the archive holds no Chart.yaml directly under its top folder"))?;
        let mut kept = self.kept;
        if self.wanted == Some(Part::Everything) {
            kept.push(Kept::new(CHART_YAML.to_owned(), found.chart_yaml.clone()));
        }
        Ok(Found { kept, ..found })
    }

    fn feed(&mut self, mut data: &[u8]) -> Result<()> {
        self.unpacked = self.unpacked.saturating_add(data.len() as u64);
        if self.unpacked > self.limits.chart_bytes {
            let most = self.limits.chart_bytes;
            return Err(fault(format!("the archive is larger than {most} bytes when it is unpacked")));
        }
        while !data.is_empty() {
            match &mut self.state {
                State::Ended => return Ok(()),
                State::Header => {
                    let take = data.len().min(BLOCK - self.filled);
                    self.header[self.filled..self.filled + take].copy_from_slice(&data[..take]);
                    self.filled += take;
                    data = &data[take..];
                    if self.filled == BLOCK {
                        self.filled = 0;
                        self.state = self.begin()?;
                    }
                }
                State::Content { of, left, bytes, .. } => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    if !matches!(of, Content::Nothing) {
                        bytes.extend_from_slice(&data[..take]);
                    }
                    *left -= take as u64;
                    data = &data[take..];
                }
                State::Padding(left) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    *left -= take as u64;
                    data = &data[take..];
                }
            }
            self.settle()?;
        }
        Ok(())
    }

    /// Goes on to what follows content that is complete, which may be empty.
    fn settle(&mut self) -> Result<()> {
        match &mut self.state {
            State::Content {
                left: 0,
                of,
                padding,
                bytes,
            } => {
                let (of, padding, bytes) = (*of, *padding, std::mem::take(bytes));
                self.state = if padding == 0 { State::Header } else { State::Padding(padding) };
                self.take_in(of, bytes)
            }
            State::Padding(0) => {
                self.state = State::Header;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Understands a header.
    fn begin(&mut self) -> Result<State> {
        if self.header.iter().all(|byte| *byte == 0) {
            // Go's reader stops behind the second one, and takes nothing but the end of the file for it.
            return Ok(if std::mem::replace(&mut self.blank, true) {
                State::Ended
            } else {
                State::Header
            });
        }
        if self.blank {
            return Err(fault("the archive goes on behind an empty block, which is the mark of its end"));
        }
        let header = Header::from_byte_slice(&self.header).clone();
        check_sum(&header, &self.header)?;
        self.entries += 1;
        if self.entries > self.limits.chart_entries {
            return Err(fault(format!("the archive holds more than {} entries", self.limits.chart_entries)));
        }
        let size = header
            .entry_size()
            .map_err(|_| fault("the archive holds an entry whose size cannot be read"))?;
        let content = |of| State::Content {
            of,
            left: size,
            padding: size.next_multiple_of(BLOCK as u64) - size,
            bytes: Vec::new(),
        };
        if size > self.limits.chart_bytes {
            return Err(self.too_large(&header));
        }
        // Programs differ in what of two such headers they believe, and helm must read what is read here.
        let ahead = matches!(
            header.entry_type(),
            EntryType::GNULongName | EntryType::XHeader | EntryType::XGlobalHeader
        );
        if ahead && self.ahead.given {
            return Err(fault("the archive says more than once what the next entry is called"));
        }
        if dialect(&self.header) {
            return Err(fault("the archive is written in a kind of tar that programs read differently"));
        }
        Ok(match header.entry_type() {
            EntryType::GNULongName => content(short(Content::Name, size, LONG_NAME_MAX)?),
            EntryType::XHeader => content(short(Content::Attributes, size, ATTRIBUTES_MAX)?),
            // Of the whole archive: git writes its commit there.
            EntryType::XGlobalHeader => content(short(Content::Remarks, size, ATTRIBUTES_MAX)?),
            EntryType::Regular | EntryType::Continuous | EntryType::Directory => content(self.entry(&header, size)?),
            _ => {
                let name = self.shown(&header);
                return Err(fault(format!(
                    "the archive holds {name}, which is neither a file nor a folder; links and devices have no place in a chart"
                )));
            }
        })
    }

    /// A file or a folder.
    fn entry(&mut self, header: &Header, size: u64) -> Result<Content> {
        let ahead = std::mem::take(&mut self.ahead);
        let raw = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = Path::read(&raw)?;
        let folder = header.entry_type() == EntryType::Directory || path.folder;
        if !folder && is_folder_by_mode(header) || path.folder && has_type_of_file(header) {
            return Err(fault(format!(
                "the archive holds {}, which is half a file and half a folder",
                path.shown
            )));
        }
        if folder && size != 0 {
            return Err(fault(format!(
                "the archive holds the folder {} with content of its own",
                path.shown
            )));
        }
        if size > self.limits.chart_file_bytes {
            return Err(fault(format!(
                "the file {} in the archive is larger than {} bytes",
                path.shown, self.limits.chart_file_bytes
            )));
        }
        let top = &path.segments[0];
        if !folder && path.segments.len() == 1 {
            return Err(fault(format!("the file {} lies outside of the chart's folder", path.shown)));
        }
        // Helm looks at what is left of a name without the top folder.
        if top == CHART_YAML {
            return Err(fault("the archive's top folder is called Chart.yaml, which is a file"));
        }
        if let Some(second) = path.segments.get(1) {
            if second.starts_with("..") {
                return Err(fault(format!(
                    "the archive holds the path {}, which Helm takes for one that leads out of the chart",
                    path.shown
                )));
            }
            if path.segments.len() > 2 && is_drive(second) {
                return Err(fault(format!("the archive holds the path {}, which is absolute", path.shown)));
            }
        }
        match &self.top {
            Some(known) if known != top => {
                return Err(fault(format!(
                    "the archive holds two top folders, {known:.100} and {top:.100}; a chart has one"
                )));
            }
            Some(_) => {}
            None => self.top = Some(top.clone()),
        }
        // Helm uses the last one, and most others the first. The entries are counted, so these are as well.
        if !folder && !self.seen.insert(Digest::sha256(path.segments.join("/").as_bytes())) {
            return Err(fault(format!("the file {} stands twice in the archive", path.shown)));
        }
        if !folder && self.wanted.is_some_and(|part| part.takes(&path.segments[1..])) {
            return self.want(path.segments[1..].join("/"), size);
        }
        if folder || path.segments.len() != 2 || path.segments[1] != CHART_YAML {
            return Ok(Content::Nothing);
        }
        if size > self.limits.chart_metadata_bytes {
            return Err(fault(format!(
                "Chart.yaml is larger than {} bytes",
                self.limits.chart_metadata_bytes
            )));
        }
        let modified = ahead
            .modified
            .or_else(|| header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()))
            .unwrap_or(0);
        Ok(Content::ChartYaml { modified })
    }

    /// A file of the part that is wanted. All of them together, with their paths, are held to what one file may be.
    fn want(&mut self, name: String, size: u64) -> Result<Content> {
        self.kept_bytes += size + name.len() as u64 + KEPT_FILE;
        let most = self.limits.chart_file_bytes;
        if self.kept_bytes > most {
            let sentence = format!("the files that were asked for are larger than {most} bytes together; pull the chart to read them");
            return Err(Error::new(ErrorKind::TooLarge, What::Blob, sentence));
        }
        self.coming = name;
        Ok(Content::Wanted)
    }

    /// Keeps content that is wanted.
    fn take_in(&mut self, of: Content, bytes: Vec<u8>) -> Result<()> {
        match of {
            Content::Nothing => {}
            Content::Name => {
                self.ahead.given = true;
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                self.ahead.name = Some(bytes[..end].to_vec());
            }
            Content::Attributes => {
                self.ahead.given = true;
                self.attributes(&bytes)?;
            }
            // Helm's reader gives an entry nothing of them; others do, and would see another archive.
            Content::Remarks => {
                self.attributes(&bytes)?;
                if std::mem::take(&mut self.ahead).name.is_some() {
                    return Err(fault("the archive gives all of its entries one name"));
                }
            }
            Content::Wanted => self.kept.push(Kept::new(std::mem::take(&mut self.coming), bytes)),
            Content::ChartYaml { modified } => {
                self.found = Some(Found {
                    chart_yaml: bytes,
                    modified,
                    kept: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// Attributes of the next entry (POSIX pax).
    fn attributes(&mut self, bytes: &[u8]) -> Result<()> {
        let broken = || fault("the archive holds attributes of an entry that cannot be read");
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(|_| broken())?;
            let key = String::from_utf8_lossy(record.key_bytes());
            let value = record.value_bytes();
            match key.as_ref() {
                "path" => self.ahead.name = Some(value.to_vec()),
                // Seconds, and parts of one behind a point; nothing stands for what the header says (POSIX pax).
                "mtime" if !value.is_empty() => {
                    let text = std::str::from_utf8(value).map_err(|_| broken())?;
                    let (whole, parts) = text.split_once('.').unwrap_or((text, ""));
                    let seconds = whole.parse().ok().filter(|_| parts.bytes().all(|byte| byte.is_ascii_digit()));
                    self.ahead.modified = Some(seconds.ok_or_else(broken)?);
                }
                "size" => return Err(fault("the archive holds an entry whose size stands twice")),
                sparse if sparse.starts_with("GNU.sparse.") => {
                    return Err(fault("the archive holds a file with holes in it, which has no place in a chart"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn shown(&self, header: &Header) -> String {
        let raw = self.ahead.name.clone().unwrap_or_else(|| header.path_bytes().into_owned());
        shown(&raw)
    }

    fn too_large(&self, header: &Header) -> Error {
        let (name, most) = (self.shown(header), self.limits.chart_bytes);
        fault(format!(
            "the file {name} makes the archive larger than {most} bytes when it is unpacked"
        ))
    }
}

impl Write for Walk {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self.feed(data) {
            Ok(()) => Ok(data.len()),
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::Error::other("refused"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Content that is kept has a limit of its own.
fn short(of: Content, size: u64, most: u64) -> Result<Content> {
    if size > most {
        return Err(fault(format!("the archive holds a name, or attributes, of more than {most} bytes")));
    }
    Ok(of)
}
