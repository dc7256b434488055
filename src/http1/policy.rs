//! The two policies by which lengths and chunks are read. Everything in which they differ is
//! here, so that neither leg becomes stricter or laxer by accident. The tests also list how the
//! readers of the two heads differ.

/// The side of the proxy whose bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Requests of clients. Strict, since somebody before the proxy may have read them in
    /// another way: each length is given once and in its plainest form.
    Client,
    /// Answers of backends, of which many are careless. A length may be repeated as long as
    /// it stays the same (RFC 9110 §8.6), and lines may end in a bare line feed. Each line is
    /// bounded here, because no parser after this one would do it.
    Backend,
}

/// Maximum length of one line around a chunk, or of all trailers, in bytes.
pub(super) const MAX_LINE: usize = 16 * 1024;

impl Policy {
    /// Whether the same Content-Length may be given more than once.
    pub(super) fn allows_repeated_length(self) -> bool {
        self == Policy::Backend
    }

    /// Maximum number of digits in a chunk's size, leading zeros included.
    pub(super) fn max_chunk_digits(self) -> usize {
        match self {
            Policy::Client => 63,
            Policy::Backend => MAX_LINE,
        }
    }

    /// The largest chunk. A client's must leave room for the line end in any reader's sum.
    pub(super) fn max_chunk(self) -> u64 {
        match self {
            Policy::Client => u64::MAX - 2,
            Policy::Backend => u64::MAX,
        }
    }

    /// Maximum length of one line around a chunk, or of all trailers. A client's are bounded
    /// by the parser that reads them next.
    pub(super) fn max_line(self) -> usize {
        match self {
            Policy::Client => usize::MAX,
            Policy::Backend => MAX_LINE,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::chunks::Chunks;
    use super::super::requests::RequestTracker;
    use super::super::response::ResponseHeadReader;
    use super::*;

    /// Whether a message with these field lines is taken, by each policy.
    fn heads(fields: &str) -> (bool, bool) {
        let mut plain = None;
        let request = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        RequestTracker::default()
            .read(request.as_bytes(), |is_ambiguous| plain = Some(!is_ambiguous));
        let answer = Bytes::from(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        let answer = ResponseHeadReader::default().read(answer);
        (plain.expect("the head has an end"), matches!(answer, Ok(Some(_))))
    }

    #[test]
    fn the_legs_differ_about_heads_in_these_only() {
        let by_both = [
            "",
            "Content-Length: 0\r\n",
            "content-length:5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding:\tChunked\r\n",
        ];
        let by_none = [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nContent-Length: 0\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: 5,\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: x\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ];
        let by_the_backends_policy = [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            // Longer than what the tracker keeps of a line.
            "Content-Length:                                                       5\r\n",
            "X: y\n",
            "Content-Length: 5\n",
        ];
        // The tracker looks for lengths only: the parser behind it refuses these.
        let by_the_clients_policy = [
            "Content-Length : 5\r\n",
            "Transfer-Encoding : chunked\r\n",
            " Content-Length: 5\r\n",
            "Content-Length\r\n: 5\r\n",
            "x-a: 1\rx-b: 2\r\n",
            "x-a: 1\r\n folded\r\n",
            "x-a: nul\0\r\n",
            "x-a: bell\u{7}\r\n",
            "x-a: delete\u{7f}\r\n",
            "x a: 1\r\n",
            ": 1\r\n",
            "x-a\r\n",
        ];
        for (corpus, taken) in [
            (&by_both[..], (true, true)),
            (&by_none[..], (false, false)),
            (&by_the_backends_policy[..], (false, true)),
            (&by_the_clients_policy[..], (true, false)),
        ] {
            for fields in corpus {
                assert_eq!(heads(fields), taken, "{fields:?}");
            }
        }
    }

    /// How much of `wire` belongs to the body, and whether it has ended; `None` where it is
    /// malformed.
    fn chunks(policy: Policy, wire: &str) -> Option<(usize, bool)> {
        let mut chunks = Chunks::new(policy);
        chunks.skip(wire.as_bytes()).ok().map(|read| (read, chunks.has_ended()))
    }

    #[test]
    fn the_legs_differ_about_chunks_in_these_only() {
        let by_both = [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A ;x=\"\r\n0123456789\r\n00\r\nT: x\r\nU: y\r\n\r\nHTTP",
            "2;x=\"y\"\r\n\r\n\r\nA \r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n",
            "5 ; x=GET\r\nhello\r\n0;last\r\nx-trailer: secret\r\nhost: evil\r\n\r\n",
            "5\r\nhello\r\n0\r\nno trailer\r\n\r\n",
            // Those that have not ended.
            "",
            "3",
            "3\r\nab",
            "3\r\nabc\r\n",
            "0\r\n",
            "0\r\n\r",
            "0\r\nT: x\r\n",
        ];
        let by_none = [
            "\r\n",
            ";\r\n",
            "g\r\n",
            "x\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "1 2\r\n",
            "3\nabc",
            "5\nhello\r\n0\r\n\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "5\r\nhelloXX0\r\n\r\n",
            "3;x\ny\r\nabc\r\n",
            "3;x\ry\r\nabc\r\n",
            "0\r\nT: x\n\r\n",
            "0\r\nT: \rx\r\n\r\n",
            "0\r\n\n",
            "10000000000000000\r\n",
            "fffffffffffffffff\r\n",
        ];
        let zeros = format!("{}\r\n\r\n", "0".repeat(64));
        let by_the_backends_policy = [&*zeros, "ffffffffffffffff\r\n"];
        let extension = format!("0;{}\r\n\r\n", "x".repeat(MAX_LINE));
        let trailers = format!("0\r\n{}\r\n", "T: x\r\n".repeat(MAX_LINE / 6 + 1));
        let by_the_clients_policy = [&*extension, &*trailers];
        for (corpus, taken) in [
            (&by_both[..], (true, true)),
            (&by_none[..], (false, false)),
            (&by_the_backends_policy[..], (false, true)),
            (&by_the_clients_policy[..], (true, false)),
        ] {
            for wire in corpus {
                let (client, backend) =
                    (chunks(Policy::Client, wire), chunks(Policy::Backend, wire));
                assert_eq!((client.is_some(), backend.is_some()), taken, "{wire:?}");
                assert!(taken != (true, true) || client == backend, "{wire:?}");
            }
        }
    }
}
