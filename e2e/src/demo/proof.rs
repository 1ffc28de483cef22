//! The exported log: verified with nothing but itself and the witnessed head, and shown to break
//! where one byte is changed. Pure.

use aios_audit::{Checkpoint, Expectations, Head, Report, verify_bundle};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Why it does not verify, if it does not.
    pub verified: Result<Report, String>,
    /// Leaves that the operator witnessed, or why it witnesses none.
    pub witnessed: Result<u64, String>,
    /// Where a byte was flipped, and what the verifier said.
    pub tampered: Tampered,
}

/// One byte was changed on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tampered {
    pub byte: u64,
    pub said: String,
    /// The verifier named the place where the byte was changed.
    pub located: bool,
}

/// The head that a witness kept: its note is trusted because of where it was kept.
pub fn head(note: &str) -> Result<Head, String> {
    let checkpoint = Checkpoint::parse(note).map_err(|error| error.to_string())?;
    Ok(Head {
        size: checkpoint.size,
        root: checkpoint.root,
    })
}

/// A log without a witnessed head is held to itself alone.
pub fn prove(bundle: &[u8], witnessed: Result<Head, String>) -> Proof {
    let expected = Expectations {
        key: None,
        heads: witnessed.iter().copied().collect(),
    };
    let verified = verify_bundle(bundle, &expected).map_err(|fault| fault.to_string());
    Proof {
        verified,
        witnessed: witnessed.map(|head| head.size),
        tampered: tamper(bundle, &expected),
    }
}

/// Flips the lowest bit in the middle of the line in the middle of the file.
fn tamper(bundle: &[u8], expected: &Expectations) -> Tampered {
    let line = line_around(bundle, bundle.len() / 2);
    let at = line.start + line.len() / 2;
    let mut changed = bundle.to_vec();
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= 1;
    }
    let byte = at as u64;
    match verify_bundle(changed.as_slice(), expected) {
        Ok(_) => Tampered {
            byte,
            said: "it verified all the same".to_owned(),
            located: false,
        },
        Err(fault) => Tampered {
            byte,
            located: fault.at.bytes.contains(&byte),
            said: fault.to_string(),
        },
    }
}

fn line_around(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let (before, after) = bytes.split_at(at.min(bytes.len()));
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let end = after
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |end| at + end);
    start..end
}

#[cfg(test)]
mod tests {
    use aios_audit::{BundleWriter, Kind, Leaf, Log, LogKey, commit};

    use super::*;

    /// A log of three leaves, as exported, and its head.
    fn exported() -> (Vec<u8>, Head) {
        let key = LogKey::new("aios/campaign/log", &[7; 32]).unwrap();
        let mut log = Log::new();
        let leaves: Vec<Leaf> = (0..3).map(leaf).collect();
        for leaf in &leaves {
            log.append(leaf.hash());
        }
        let head = Head {
            size: log.size(),
            root: log.root(),
        };
        let note = key.sign_checkpoint(head.size, head.root);
        let mut writer = BundleWriter::new(Vec::new(), &key.verifier(), &note).unwrap();
        for leaf in &leaves {
            writer.leaf(leaf).unwrap();
        }
        (writer.finish().unwrap(), head)
    }

    fn leaf(seq: u64) -> Leaf {
        Leaf {
            tenant: "campaign".into(),
            pipeline: "p".into(),
            document: format!("d{seq}"),
            seq,
            kind: Kind::Accepted,
            time_ms: 1,
            commitment: commit(&[1; 32], b"x"),
        }
    }

    #[test]
    fn a_log_verifies_and_one_flipped_byte_is_found_where_it_is() {
        let (bundle, head) = exported();
        let proof = prove(&bundle, Ok(head));
        assert_eq!(proof.verified.as_ref().map(|report| report.leaves), Ok(3));
        assert!(proof.tampered.located, "{}", proof.tampered.said);
    }

    #[test]
    fn another_head_than_the_witnessed_is_told() {
        let (bundle, head) = exported();
        let other = Head {
            root: aios_audit::sha256(b"other"),
            ..head
        };
        assert!(prove(&bundle, Ok(other)).verified.is_err());
    }

    #[test]
    fn a_log_that_the_witness_refuses_is_held_to_itself() {
        let proof = prove(&exported().0, Err("it shrank".into()));
        assert!(proof.verified.is_ok());
        assert_eq!(proof.witnessed, Err("it shrank".into()));
    }

    #[test]
    fn the_line_around_a_byte_has_no_line_break() {
        assert_eq!(line_around(b"ab\ncde\nf", 4), 3..6);
        assert_eq!(line_around(b"ab", 1), 0..2);
    }
}
