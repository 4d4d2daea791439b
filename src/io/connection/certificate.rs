//! Just enough of PEM and X.509 to hand over certificates and to say that one has expired.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The DER bytes of every `CERTIFICATE` block; other blocks (keys, lists) and text between blocks are skipped.
///
/// # Errors
/// Says what is malformed, never quoting the content.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    let mut found = Vec::new();
    let mut rest = text.as_ref();
    while let Some(start) = rest.find(BEGIN) {
        let body = &rest[start + BEGIN.len()..];
        let end = body.find(END).ok_or("a PEM block has no end")?;
        let packed: String = body[..end].split_whitespace().collect();
        let der = STANDARD
            .decode(packed)
            .map_err(|_| "a PEM block is not base64".to_owned())?;
        found.push(der);
        rest = &body[end + END.len()..];
    }
    if found.is_empty() {
        Err("it holds no PEM certificate".to_owned())
    } else {
        Ok(found)
    }
}

/// The end of a certificate's validity. `None` when the bytes are not understood: TLS will then be the judge.
pub(crate) fn not_after(der: &[u8]) -> Option<jiff::Timestamp> {
    const SEQUENCE: u8 = 0x30;
    let (tag, certificate, _) = element(der)?;
    (tag == SEQUENCE).then_some(())?;
    let (_, mut fields, _) = element(certificate)?;
    // tbsCertificate: [0] version (absent in v1), serial, signature algorithm, issuer, validity, ...
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, until) = element(validity)?;
    let (tag, text, _) = element(until)?;
    moment(tag, std::str::from_utf8(text).ok()?)
}

/// Splits the first DER element: its tag, its content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let bytes = usize::from(first & 0x7f);
        if bytes == 0 || bytes > 4 || rest.len() < bytes {
            return None;
        }
        length = rest[..bytes]
            .iter()
            .fold(0, |sum, &b| (sum << 8) | usize::from(b));
        rest = &rest[bytes..];
    }
    (rest.len() >= length).then(|| (tag, &rest[..length], &rest[length..]))
}

/// UTCTime (`YYMMDDHHMMSSZ`, years 1950 to 2049) or GeneralizedTime (`YYYYMMDDHHMMSSZ`).
fn moment(tag: u8, text: &str) -> Option<jiff::Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let full = match (tag, digits.len()) {
        (0x17, 12) => format!("{}{digits}", if digits.get(..2)? < "50" { "20" } else { "19" }),
        (0x18, 14) => digits.to_owned(),
        _ => return None,
    };
    if !full.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (date, time) = full.split_at(8);
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    )
    .parse()
    .ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = not_after(&bytes);
            let _ = certificates(&bytes);
        }
    }

    #[test]
    fn times_of_both_kinds() {
        let read = |tag, text| moment(tag, text).map(|t| t.to_string());
        assert_eq!(
            read(0x17, "491231235959Z").as_deref(),
            Some("2049-12-31T23:59:59Z")
        );
        assert_eq!(
            read(0x17, "500101000000Z").as_deref(),
            Some("1950-01-01T00:00:00Z")
        );
        assert_eq!(
            read(0x18, "21260208130950Z").as_deref(),
            Some("2126-02-08T13:09:50Z")
        );
        assert_eq!(read(0x17, "4912312359Z"), None);
        assert_eq!(read(0x17, "49é231235959"), None);
    }
}
