//! An item as thousands of them are kept: its body packed, since data planes ask for it only when they come.

use aios_proto::control::Item;
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec};

/// Beyond it packing takes longer and gains little.
const EFFORT: u8 = 6;

/// What data planes are offered of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// All but the body.
    head: Item,
    /// RFC 1951.
    body: Box<[u8]>,
}

impl Offer {
    pub fn name(&self) -> &str {
        &self.head.name
    }

    pub fn owner_uid(&self) -> &str {
        &self.head.owner_uid
    }

    pub fn digest(&self) -> &str {
        &self.head.digest
    }

    /// By which revisions the operator judges, of policies.
    pub fn engine(&self) -> &str {
        &self.head.engine
    }

    pub fn generation(&self) -> i64 {
        self.head.generation
    }

    /// As it goes over the wire.
    pub fn item(&self) -> Item {
        Item {
            // What was packed here unpacks. If it did not, data planes would refuse it by its digest.
            body: decompress_to_vec(&self.body).unwrap_or_default().into(),
            ..self.head.clone()
        }
    }
}

impl From<Item> for Offer {
    fn from(mut item: Item) -> Self {
        let body = std::mem::take(&mut item.body);
        Self {
            head: item,
            body: compress_to_vec(&body, EFFORT).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aios_proto::control::Item;

    use super::Offer;

    #[test]
    fn an_item_comes_out_as_it_went_in_and_takes_less_room() {
        let item = Item {
            name: "mail".into(),
            owner_uid: "u".into(),
            generation: 3,
            digest: "sha256:00".into(),
            body: br#"{"name":"mail","parts":[{"name":"subject"},{"name":"text"}]}"#
                .repeat(4)
                .into(),
            ..Item::default()
        };
        let offer = Offer::from(item.clone());
        assert_eq!(offer.item(), item);
        assert_eq!((offer.name(), offer.owner_uid()), ("mail", "u"));
        assert_eq!((offer.digest(), offer.generation()), ("sha256:00", 3));
        assert!(offer.body.len() * 2 < item.body.len());
        let empty = Item::default();
        assert_eq!(Offer::from(empty.clone()).item(), empty);
    }
}
