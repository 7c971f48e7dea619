//! What PostgreSQL and its client say to each other, as far as rules need to understand it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Direction;
use super::interpreter::{Interpreter, Step, Steps};
use super::rules::Rule;
use super::statement_rules::Rules;

/// A message that is larger is no longer looked at, and neither is what follows it.
const LARGEST: usize = 64 * 1024 * 1024;

/// What clients ask before they say who they are.
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS_ENCRYPTION: u32 = 80_877_104;

/// Follows one connection.
///
/// The server answers in the order of the requests, and ends its answer to each by saying that it is ready: to each
/// simple query, and to each series of messages that a synchronisation ends. That is how a reply finds its request.
#[derive(Debug)]
pub(super) struct Conversation {
    rules: Rules,
    /// It can no longer be understood, so everything passes.
    opaque: bool,
    started: bool,
    from_client: Vec<u8>,
    from_server: Vec<u8>,
    /// The server is about to answer with one letter whether it encrypts.
    letters_due: usize,
    /// For each answer that is due, the rule that wants it.
    due: VecDeque<Option<Arc<Rule>>>,
    /// The rule that wants the answer to the series that has begun.
    series: Option<Arc<Rule>>,
    /// The text of each prepared statement, and of each portal.
    prepared: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, String>,
    /// What was said of the answer that a rule wants.
    withheld: Vec<u8>,
}

impl Conversation {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            opaque: false,
            started: false,
            from_client: Vec::new(),
            from_server: Vec::new(),
            letters_due: 0,
            due: VecDeque::new(),
            series: None,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            withheld: Vec::new(),
        }
    }

    /// Takes one message of the client; `false` when there is no whole one.
    fn client_says(&mut self, steps: &mut Steps) -> bool {
        let Some(message) = self.next_of_client() else {
            return false;
        };
        if !self.started {
            self.introduction(&message);
            steps.send(&message);
            return true;
        }
        let body = &message[5..];
        match message[0] {
            b'Q' => {
                let caught = self.rules.catch(&text(body));
                steps.decide(caught.request);
                self.due.push_back(caught.reply);
            }
            b'P' => {
                let (name, rest) = split_text(body);
                self.prepared.insert(name.to_vec(), text(rest));
            }
            b'B' => {
                let (portal, rest) = split_text(body);
                let (name, _) = split_text(rest);
                let sql = self.prepared.get(name).cloned().unwrap_or_default();
                self.portals.insert(portal.to_vec(), sql);
            }
            b'E' => {
                let (portal, _) = split_text(body);
                let caught = self.rules.catch(self.portals.get(portal).map_or("", String::as_str));
                steps.decide(caught.request);
                self.series = self.series.take().or(caught.reply);
            }
            b'S' => self.due.push_back(self.series.take()),
            // A call of a function is answered like a query.
            b'F' => self.due.push_back(None),
            _ => {}
        }
        steps.send(&message);
        true
    }

    fn introduction(&mut self, message: &[u8]) {
        match number(&message[4..]) {
            TLS | GSS_ENCRYPTION => self.letters_due += 1,
            CANCEL => self.opaque = true,
            _ => {
                self.started = true;
                // The server says that it is ready after the login, too.
                self.due.push_back(None);
            }
        }
    }

    /// Takes one message of the server; `false` when there is no whole one.
    fn server_says(&mut self, steps: &mut Steps) -> bool {
        if self.letters_due > 0 {
            let Some(letter) = self.from_server.first().copied() else {
                return false;
            };
            self.letters_due -= 1;
            if letter == b'N' {
                steps.send(&[self.from_server.remove(0)]);
            } else {
                self.opaque = true;
            }
            return true;
        }
        let Some(message) = next(&mut self.from_server, 1, &mut self.opaque) else {
            return false;
        };
        let wanted = matches!(self.due.front(), Some(Some(_)));
        let ready = message[0] == b'Z';
        if wanted {
            self.withheld.extend_from_slice(&message);
        } else {
            steps.send(&message);
        }
        if ready {
            // Without a request there is nothing to be ready for, but that is the server's affair.
            steps.decide(self.due.pop_front().flatten());
            steps.send(&std::mem::take(&mut self.withheld));
        }
        true
    }

    fn next_of_client(&mut self) -> Option<Vec<u8>> {
        // Before it has introduced itself, a client sends no letter.
        let letters = usize::from(self.started);
        next(&mut self.from_client, letters, &mut self.opaque)
    }
}

impl Interpreter for Conversation {
    fn give_up(&mut self) {
        self.opaque = true;
    }

    fn take(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Step> {
        let mut steps = Steps::default();
        match direction {
            Direction::ToServer => {
                self.from_client.extend_from_slice(bytes);
                while !self.opaque && self.client_says(&mut steps) {}
            }
            Direction::ToClient => {
                self.from_server.extend_from_slice(bytes);
                while !self.opaque && self.server_says(&mut steps) {}
            }
        }
        if self.opaque {
            let rest = match direction {
                Direction::ToServer => std::mem::take(&mut self.from_client),
                Direction::ToClient => {
                    let mut rest = std::mem::take(&mut self.withheld);
                    rest.append(&mut self.from_server);
                    rest
                }
            };
            steps.send(&rest);
        }
        steps.0
    }
}

/// Takes the first whole message: some letters, a length that counts itself, and as much.
fn next(buffer: &mut Vec<u8>, letters: usize, opaque: &mut bool) -> Option<Vec<u8>> {
    let length = number(buffer.get(letters..letters + 4)?);
    let whole = usize::try_from(length).ok().map(|length| length + letters);
    match whole.filter(|whole| (letters + 4..=LARGEST).contains(whole)) {
        None => {
            *opaque = true;
            None
        }
        Some(whole) if buffer.len() < whole => None,
        Some(whole) => Some(buffer.drain(..whole).collect()),
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Text up to its zero, and what follows.
fn split_text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(split_text(bytes).0).into_owned()
}

#[cfg(test)]
mod tests;
