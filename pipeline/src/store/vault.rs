//! Keys: the tenant's key wraps one key for each data subject; those seal content (AES-256-GCM).
//! Look-ups go by keyed hashes, so that no id of a person stands in the database.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac, rand,
};

use super::error::StoreError;

/// Keyed hash that names a data subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject(pub [u8; 32]);

/// The tenant's keys.
pub struct Vault {
    wrapping: RandomizedNonceKey,
    hashing: hmac::Key,
}

/// The key of one subject.
pub struct SubjectKey(RandomizedNonceKey);

impl Vault {
    /// From the 32 bytes of the tenant's key.
    pub fn new(kek: &[u8; 32]) -> Result<Self, StoreError> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, kek);
        let wrapping = hmac::sign(&root, b"aios.dev/store/wrap/v1");
        let hashing = hmac::sign(&root, b"aios.dev/store/hash/v1");
        Ok(Self {
            wrapping: key(wrapping.as_ref())?,
            hashing: hmac::Key::new(hmac::HMAC_SHA256, hashing.as_ref()),
        })
    }

    /// Keyed hash of `fields` under a domain; fields cannot be shifted into each other.
    pub fn hash(&self, domain: &str, fields: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.hashing);
        for field in std::iter::once(&domain).chain(fields) {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field.as_bytes());
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }

    /// The subject of that id, as the pipeline's subject variable gives it.
    pub fn person(&self, id: &str) -> Subject {
        Subject(self.hash("subject/person", &[id]))
    }

    /// The stand-in for a document that is about nobody known.
    pub fn nobody(&self, document: &str) -> Subject {
        Subject(self.hash("subject/document", &[document]))
    }

    /// The stand-in for records that are about nobody.
    pub fn impersonal(&self, pipeline: &str, context: &str) -> Subject {
        Subject(self.hash("subject/context", &[pipeline, context]))
    }

    /// A new key and its wrapped form.
    pub fn new_key(&self, subject: Subject) -> Result<(SubjectKey, Vec<u8>), StoreError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| StoreError::Random)?;
        let wrapped = seal(&self.wrapping, &subject.0, &bytes)?;
        Ok((SubjectKey(key(&bytes)?), wrapped))
    }

    /// Opens a wrapped key.
    pub fn unwrap_key(&self, subject: Subject, wrapped: &[u8]) -> Result<SubjectKey, StoreError> {
        let bytes = open(&self.wrapping, &subject.0, wrapped)?;
        Ok(SubjectKey(key(&bytes)?))
    }
}

impl SubjectKey {
    /// Seals; `place` binds the result to where it is kept.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        seal(&self.0, place.as_bytes(), plain)
    }

    /// Opens what was sealed for the same place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        open(&self.0, place.as_bytes(), sealed)
    }
}

/// 32 random bytes.
pub fn salt() -> Result<[u8; 32], StoreError> {
    let mut salt = [0; 32];
    rand::fill(&mut salt).map_err(|_| StoreError::Random)?;
    Ok(salt)
}

fn key(bytes: &[u8]) -> Result<RandomizedNonceKey, StoreError> {
    RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| StoreError::WrongKey)
}

/// Nonce, ciphertext, tag.
fn seal(key: &RandomizedNonceKey, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut body = plain.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(place), &mut body)
        .map_err(|_| StoreError::Random)?;
    let nonce: &[u8; NONCE_LEN] = nonce.as_ref();
    let mut out = nonce.to_vec();
    out.append(&mut body);
    Ok(out)
}

fn open(key: &RandomizedNonceKey, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (nonce, body) = sealed
        .split_at_checked(NONCE_LEN)
        .ok_or(StoreError::Sealed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StoreError::Sealed)?;
    let mut body = body.to_vec();
    let plain = key
        .open_in_place(nonce, Aad::from(place), &mut body)
        .map_err(|_| StoreError::Sealed)?;
    let length = plain.len();
    body.truncate(length);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::{StoreError, Vault};

    #[test]
    fn sealed_content_opens_only_at_its_place_and_with_its_key() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let subject = vault.person("17");
        let (key, wrapped) = vault.new_key(subject).unwrap();
        let sealed = key.seal("a", b"Zo\xc3\xab").unwrap();
        let again = vault.unwrap_key(subject, &wrapped).unwrap();
        assert_eq!(again.open("a", &sealed).unwrap(), b"Zo\xc3\xab");
        assert!(matches!(again.open("b", &sealed), Err(StoreError::Sealed)));
        assert!(vault.unwrap_key(vault.person("18"), &wrapped).is_err());
        let other = Vault::new(&[8; 32]).unwrap();
        assert!(other.unwrap_key(subject, &wrapped).is_err());
        assert_ne!(other.person("17"), subject);
    }
}
