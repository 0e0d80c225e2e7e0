//! HTTP/1.1 by hand: for requests that no client library would send, and for those that break off.

use super::client::is_oci;
use super::{Answer, Client, PATIENCE, json_shape};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// A connection.
pub(crate) struct Wire {
    reader: BufReader<TcpStream>,
    authorization: String,
    /// Statuses of the 1xx answers seen so far.
    pub(crate) interim: Vec<u16>,
}

impl Wire {
    /// Connects to the server that `client` calls; [`Wire::request`] uses its credentials.
    pub(crate) fn connect(client: &Client) -> Self {
        let stream = TcpStream::connect(client.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let authorization = client.authorization().map(|value| format!("Authorization: {value}\r\n"));
        Self {
            reader: BufReader::new(stream),
            authorization: authorization.unwrap_or_default(),
            interim: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends bytes that the server may refuse to take: it may have answered and hung up meanwhile.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends a request's head with these header lines.
    pub(crate) fn request(&mut self, line: &str, headers: &[&str]) -> &mut Self {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("{line} HTTP/1.1\r\nHost: granary.test\r\n{}{headers}\r\n", self.authorization);
        self.send(head)
    }

    /// Sends one chunk of `Transfer-Encoding: chunked`; an empty one ends the body.
    pub(crate) fn chunk(&mut self, bytes: &[u8]) -> &mut Self {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.send(framed)
    }

    /// Says that nothing more will be sent; still listens.
    pub(crate) fn end_sending(&mut self) -> &mut Self {
        // The server may have hung up already.
        let _ = self.reader.get_mut().shutdown(Shutdown::Write);
        self
    }

    /// Ends the connection as a line does that breaks: by a reset (RST), and not by an end.
    pub(crate) fn reset(self) {
        // What is left to be sent is dropped with it; the server may still read what it has.
        rustix::net::sockopt::set_socket_linger(self.reader.get_ref(), Some(Duration::ZERO)).unwrap();
    }

    /// Everything until the server hangs up.
    pub(crate) fn rest(&mut self) -> String {
        let mut all = Vec::new();
        // A reset after the last byte is an end, too.
        let _ = self.reader.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Waits so long for something to read, or for the server to hang up; gives whether there is either.
    pub(crate) fn has_news(&mut self, wait: Duration) -> bool {
        self.reader.get_ref().set_read_timeout(Some(wait)).unwrap();
        let news = match self.reader.fill_buf() {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.reader.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        news
    }

    /// Reads the leave to send the body.
    #[track_caller]
    pub(crate) fn wait_for_continue(&mut self) {
        assert_eq!(self.line(), "HTTP/1.1 100 Continue");
        assert_eq!(self.line(), "");
    }

    /// Reads the next answer to a request that was not HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.read_answer(false)
    }

    /// Reads the next answer to HEAD.
    #[track_caller]
    pub(crate) fn head_answer(&mut self) -> Answer {
        self.read_answer(true)
    }

    /// Reads the next answer, which is one of the OCI API's, and checks it as such.
    #[track_caller]
    pub(crate) fn oci_answer(&mut self) -> Answer {
        let answer = self.read_answer(false);
        json_shape::check(&answer, false);
        answer
    }

    #[track_caller]
    fn read_answer(&mut self, head: bool) -> Answer {
        loop {
            let line = self.line();
            let mut words = line.split(' ');
            let (version, status) = (words.next().unwrap(), words.next());
            assert!(version == "HTTP/1.1" || version == "HTTP/1.0", "no status line: {line:?}");
            let status: u16 = status.unwrap().parse().unwrap();
            let headers = self.headers();
            if (100..200).contains(&status) {
                self.interim.push(status);
                continue;
            }
            let mut answer = Answer {
                asked: "what stands on the wire".into(),
                status,
                headers,
                body: Vec::new(),
            };
            if !head && status != 204 && status != 304 {
                answer.body = self.body(&answer);
            }
            return answer;
        }
    }

    fn body(&mut self, answer: &Answer) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(length) = answer.find("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.reader.read_exact(&mut body).unwrap();
        } else if answer.find("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(&self.line(), 16).unwrap();
                let mut chunk = vec![0; size];
                self.reader.read_exact(&mut chunk).unwrap();
                body.extend(chunk);
                assert_eq!(self.line(), "");
                if size == 0 {
                    break;
                }
            }
        } else {
            self.reader.read_to_end(&mut body).unwrap();
        }
        body
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                assert_eq!(line, "");
                return headers;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "the server hung up after {line:?}");
        line.truncate(line.len() - 2);
        line
    }
}

/// One request by hand, with the shape of its answer checked where the path is the OCI API's.
#[track_caller]
pub(crate) fn by_hand(client: &Client, method: &str, path: &str, headers: &[&str]) -> Answer {
    let mut wire = Wire::connect(client);
    wire.request(&format!("{method} {path}"), headers);
    let mut answer = wire.read_answer(method == "HEAD");
    answer.asked = format!("{method} {path}");
    if is_oci(path) {
        json_shape::check(&answer, method == "HEAD");
    }
    answer
}
