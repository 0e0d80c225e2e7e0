//! The body of an upload: the archive itself, or a form that holds it as one of its parts (RFC 7578). Read as it
//! comes, in memory that does not grow with it.

use super::parameter::parameter;
use crate::handler::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use granary_storage::limits::Limits;
use granary_storage::{Error, ErrorKind, Result, What};
use std::sync::Arc;

/// Bytes in the headers of a part, at most.
const HEADERS_MAX: usize = 8 * 1024;

/// A body, held to its announced length and to a limit.
pub(super) struct Counted {
    body: Body,
    came: u64,
    announced: Option<u64>,
    limit: u64,
}

impl Counted {
    /// Nothing has come yet.
    ///
    /// # Errors
    /// `TooLarge`/`Blob` when more is announced than the limit allows.
    pub(super) fn new(body: Body, announced: Option<u64>, limit: u64) -> Result<Self> {
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        Ok(Self {
            body,
            came: 0,
            announced,
            limit,
        })
    }

    /// The next bytes; `None` once everything has come that was announced.
    ///
    /// # Errors
    /// `TooLarge`/`Blob`, `Invalid`/`Size`, and whatever broke the stream.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let disagrees = || Error::invalid(What::Size, "the body does not have the length that was announced");
        match self.body.next().await.transpose()? {
            Some(chunk) => {
                self.came = self.came.saturating_add(chunk.len() as u64);
                if self.came > self.limit {
                    return Err(too_large(self.limit));
                }
                if self.announced.is_some_and(|length| self.came > length) {
                    return Err(disagrees());
                }
                Ok(Some(chunk))
            }
            None if self.announced.is_some_and(|length| self.came != length) => Err(disagrees()),
            None => Ok(None),
        }
    }
}

fn too_large(limit: u64) -> Error {
    let sentence = format!("the body is larger than the limit of {limit} bytes");
    Error::new(ErrorKind::TooLarge, What::Blob, sentence)
}

/// A form while it comes.
pub(super) struct Form {
    body: Counted,
    buffer: BytesMut,
    /// What stands before every part and behind the last one.
    delimiter: Vec<u8>,
    /// Whether a part's content is being read.
    inside: bool,
    limits: Arc<Limits>,
    /// Parts that have begun.
    parts: usize,
    /// Bytes that came and that nobody wanted.
    unwanted: u64,
}

impl Form {
    /// Nothing has come yet.
    pub(super) fn new(body: Counted, boundary: &str, limits: Arc<Limits>) -> Self {
        Self {
            body,
            // As if a line had ended before the first part, so that every delimiter looks alike.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            inside: true,
            limits,
            parts: 0,
            unwanted: 0,
        }
    }

    /// Goes on to the next part; its name, or `None` behind the last one.
    ///
    /// # Errors
    /// `Invalid`/`Request` when this is no form, or one of more parts than [`Limits::form_parts`]; those of
    /// [`Form::skip`] and [`Counted::chunk`].
    pub(super) async fn next_part(&mut self) -> Result<Option<String>> {
        self.skip().await?;
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if self.buffer.starts_with(b"--") {
            self.unwanted(self.buffer.len() - 2)?;
            while let Some(chunk) = self.body.chunk().await? {
                self.unwanted(chunk.len())?;
            }
            return Ok(None);
        }
        self.skip_blanks().await?;
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if !self.buffer.starts_with(b"\r\n") {
            return Err(malformed());
        }
        self.parts += 1;
        if self.parts > self.limits.form_parts {
            let sentence = format!("the form has more than {} parts", self.limits.form_parts);
            return Err(Error::invalid(What::Request, sentence));
        }
        // The end of the delimiter's line stays where it is: a part without headers is one without a name.
        let end = loop {
            match find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end,
                None if self.buffer.len() > HEADERS_MAX => return Err(malformed()),
                None => self.more().await?,
            }
        };
        let headers = self.buffer.split_to(end + 4);
        self.inside = true;
        Ok(Some(name(&String::from_utf8_lossy(&headers)).unwrap_or_default()))
    }

    /// Passes over what is left of a part.
    ///
    /// # Errors
    /// `TooLarge`/`Blob` when more has come that nobody wanted than [`Limits::form_other_bytes`]; those of [`Form::chunk`].
    pub(super) async fn skip(&mut self) -> Result<()> {
        while let Some(chunk) = self.chunk().await? {
            self.unwanted(chunk.len())?;
        }
        Ok(())
    }

    /// Passes over the blanks that may stand between a boundary and the end of its line (RFC 2046 §5.1.1).
    async fn skip_blanks(&mut self) -> Result<()> {
        loop {
            let blanks = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            drop(self.buffer.split_to(blanks));
            self.unwanted(blanks)?;
            if !self.buffer.is_empty() {
                return Ok(());
            }
            self.more().await?;
        }
    }

    fn unwanted(&mut self, bytes: usize) -> Result<()> {
        self.unwanted += bytes as u64;
        let most = self.limits.form_other_bytes;
        if self.unwanted > most {
            let sentence = format!("the form holds more than {most} bytes besides what is uploaded");
            return Err(Error::new(ErrorKind::TooLarge, What::Blob, sentence));
        }
        Ok(())
    }

    /// The next bytes of the part; `None` at its end.
    ///
    /// # Errors
    /// `Invalid`/`Request` when the form ends in it; those of [`Counted::chunk`].
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while self.inside {
            if let Some(end) = find(&self.buffer, &self.delimiter) {
                let last = self.buffer.split_to(end).freeze();
                drop(self.buffer.split_to(self.delimiter.len()));
                self.inside = false;
                return Ok(Some(last).filter(|bytes| !bytes.is_empty()));
            }
            // What could be the beginning of a delimiter stays until more has come.
            let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if sure > 0 {
                return Ok(Some(self.buffer.split_to(sure).freeze()));
            }
            self.more().await?;
        }
        Ok(None)
    }

    async fn more(&mut self) -> Result<()> {
        match self.body.chunk().await? {
            Some(chunk) => self.buffer.extend_from_slice(&chunk),
            None => return Err(malformed()),
        }
        Ok(())
    }
}

fn malformed() -> Error {
    Error::invalid(What::Request, "the form is malformed, or ends before its last part does")
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first).map(|at| from + at) {
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// The name in the headers of a part.
fn name(headers: &str) -> Option<String> {
    let disposition = headers.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    parameter(disposition, "name")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures_util::stream;
    use proptest::prelude::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    const FORM: &[u8] = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"chart\"; filename=\"x\"\r\nContent-Type: a/b\r\n\r\n\r\n--\r\n--not b\r\n--b\r\n\r\nnameless\r\n--b\r\ncontent-disposition: form-data; name=prov\r\n\r\n\r\n--b--\r\nepilogue";

    fn form(bytes: &[u8], piece: usize, limits: Limits) -> Result<Form> {
        let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let body = Counted::new(Box::pin(stream::iter(pieces)), Some(bytes.len() as u64), 10_000)?;
        Ok(Form::new(body, "b", Arc::new(limits)))
    }

    async fn parts(bytes: &[u8], piece: usize) -> Result<Vec<(String, Vec<u8>)>> {
        let mut form = form(bytes, piece, Limits::default())?;
        let mut parts = Vec::new();
        while let Some(name) = form.next_part().await? {
            let mut content = Vec::new();
            while let Some(chunk) = form.chunk().await? {
                content.extend_from_slice(&chunk);
            }
            parts.push((name, content));
        }
        Ok(parts)
    }

    #[tokio::test]
    async fn it_is_all_the_same_in_which_pieces_a_form_comes() {
        for piece in [1, 2, 3, 7, FORM.len()] {
            let found = parts(FORM, piece).await.unwrap();
            let expected = [("chart", &b"\r\n--\r\n--not b"[..]), ("", b"nameless"), ("prov", b"")];
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for ((name, content), (expected_name, expected_content)) in found.iter().zip(expected) {
                assert_eq!((name.as_str(), content.as_slice()), (expected_name, expected_content));
            }
        }
    }

    #[tokio::test]
    async fn blanks_behind_a_boundary_are_passed_over() {
        let form = b"--b \t\r\ncontent-disposition: form-data; name=chart\r\n\r\nx\r\n--b\t\r\n\r\ny\r\n--b-- \r\n";
        for piece in [1, 2, 5, form.len()] {
            let found = parts(form, piece).await.unwrap();
            assert_eq!(found, [("chart".to_owned(), b"x".to_vec()), (String::new(), b"y".to_vec())]);
        }
        // Nothing else may stand there, nor may they go on for ever.
        assert!(parts(b"--b x\r\n\r\n\r\n--b--", 5).await.is_err());
        assert!(parts(b"--b --", 5).await.is_err());
        let endless = [b"--b".as_slice(), &[b' '; 9000]].concat();
        assert!(parts(&endless, 500).await.is_err());
    }

    #[tokio::test]
    async fn a_form_that_ends_early_is_refused() {
        let end = find(FORM, b"--b--").unwrap();
        for length in 0..end + 4 {
            assert!(parts(&FORM[..length], 5).await.is_err(), "{length}");
        }
        assert!(parts(b"--b?", 5).await.is_err());
        let endless = [b"--b\r\n".as_slice(), &[b'x'; 9000]].concat();
        assert!(parts(&endless, 500).await.is_err());
        assert!(parts(&[b'x'; 10_001], 500).await.is_err());
    }

    #[tokio::test]
    async fn a_form_has_few_parts_and_little_that_nobody_wants() {
        let few = || Limits {
            form_parts: 3,
            form_other_bytes: 20,
            ..Limits::default()
        };
        let read = async |bytes: &[u8], wanted: &str| {
            let mut form = form(bytes, 7, few())?;
            while let Some(name) = form.next_part().await? {
                if name == wanted {
                    while form.chunk().await?.is_some() {}
                }
            }
            Ok::<_, Error>(())
        };
        let part = |name: &str, content: &str| format!("--b\r\ncontent-disposition: form-data; name={name}\r\n\r\n{content}\r\n");
        let three = ["--b\r\n\r\n\r\n", &part("chart", &"x".repeat(500)), &part("x", &"x".repeat(20))].concat();
        read(format!("{three}--b--").as_bytes(), "chart").await.unwrap();
        // What nobody wants counts wherever it stands.
        for more in [format!("{three}--b--y"), format!("y\r\n{three}--b--")] {
            let error = read(more.as_bytes(), "chart").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            assert!(error.message().contains("more than 20 bytes besides"), "{error}");
        }
        let error = read(format!("{three}--b\r\n\r\n\r\n--b--").as_bytes(), "chart").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains("more than 3 parts"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_sent_as_a_form_is_read_as_it_was(
            // Of what a delimiter is made of, so that contents come close to one.
            sent in prop::collection::vec(("[a-c]{0,4}", "[\r\n\\-bx]{0,40}"), 0..6),
            piece in 1usize..20,
        ) {
            prop_assume!(sent.iter().all(|(_, content)| !format!("\r\n{content}\r\n").contains("\r\n--b")));
            let mut form = String::new();
            for (name, content) in &sent {
                form += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n");
            }
            form += "--b--";
            let found = block_on(parts(form.as_bytes(), piece)).unwrap();
            let sent: Vec<_> = sent.into_iter().map(|(name, content)| (name, content.into_bytes())).collect();
            prop_assert_eq!(found, sent);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in "([\r\n\\-b:;=\"]|\r\n--b|name){0,40}", piece in 1usize..20) {
            let _ = block_on(parts(bytes.as_bytes(), piece));
        }
    }
}
