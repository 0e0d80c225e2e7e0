//! A storage key says what it promises, and no other text becomes one: a key ends in a path.

use super::*;
use proptest::prelude::*;

#[test]
fn a_key_is_read_back_as_it_was_written() {
    for algorithm in Algorithm::ALL {
        let (digest, upload) = (Digest::of(algorithm, b"some bytes"), UploadId::random());
        let key = StorageKey::new(&digest, &upload);
        assert_eq!(key.to_string().parse::<StorageKey>().unwrap(), key);
        assert_eq!(key.digest(), Some(digest));
        assert!(key.as_str().ends_with(&upload.to_string()));
    }
}

#[test]
fn a_text_that_no_store_made_is_no_key() {
    let (hex, upload) = (Digest::sha256(b"").hex(), UploadId::random());
    let folder = &hex[..2];
    for bad in [
        String::new(),
        "sha256".into(),
        format!("sha256/{folder}/{hex}"),
        format!("sha256/{folder}/{hex}."),
        format!("sha256/00/{hex}.{upload}"),
        format!("sha256/../{hex}.{upload}"),
        format!("/sha256/{folder}/{hex}.{upload}"),
        format!("sha256/{folder}/{hex}.{upload}/"),
        format!("sha256//{folder}/{hex}.{upload}"),
        format!("sha512/{folder}/{hex}.{upload}"),
        format!("sha256/{folder}/{}.{upload}", hex.to_uppercase()),
        format!("sha256/{folder}/{hex}.{}", upload.to_string().to_uppercase()),
        format!("sha256/{folder}/{hex}.{}", upload.to_string().replace('-', "")),
        format!("sha256/{folder}/{hex}.{upload}\0"),
        format!("sha256/{folder}/{hex}.../../{upload}"),
    ] {
        assert_eq!(refusal(bad.parse::<StorageKey>()).0, ErrorKind::Internal, "{bad:?}");
    }
}

#[test]
fn an_upload_is_named_by_just_one_text() {
    let id = UploadId::random();
    let text = id.to_string();
    assert_eq!(text.parse::<UploadId>().unwrap(), id);
    for bad in [
        String::new(),
        "../uploads".into(),
        text.to_uppercase(),
        text.replace('-', ""),
        format!("{{{text}}}"),
        format!("urn:uuid:{text}"),
        format!("{text} "),
        format!("{text}/"),
    ] {
        assert_eq!(refusal(bad.parse::<UploadId>()), NO_SUCH_UPLOAD, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_read_as_a_key_is_one(text in "(sha256|sha512)/[0-9a-f.]{2}/[0-9a-f]{64}\\.[0-9a-f-]{36}|.{0,200}") {
        if let Ok(key) = text.parse::<StorageKey>() {
            prop_assert_eq!(key.as_str(), text);
            prop_assert!(!key.as_str().contains(".."));
        }
    }
}
