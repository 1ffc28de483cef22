//! Counts texts in JSON while it is read, so that nothing of it is built in memory. What has another shape than
//! expected counts nothing.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// What is counted of a value: each shape counts nothing unless it is said how.
pub trait Tally: Default {
    fn text(&mut self, _text: &str) {}

    /// A number or a truth value.
    fn scalar(&mut self) {}

    /// A number from 0.
    fn number(&mut self, _number: u64) {
        self.scalar();
    }

    /// A field of an object: its value must be taken.
    fn field<'de, A: MapAccess<'de>>(&mut self, _name: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }

    /// The next item of a list; false at its end.
    fn item<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        Ok(list.next_element::<IgnoredAny>()?.is_some())
    }
}

/// A value of which something was counted.
#[derive(Clone, Debug, Default)]
pub struct Counted<T>(pub T);

/// Bytes of a text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text(pub u64);

/// A number from 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Number(pub u64);

/// Whether there is anything but `null`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Present(pub bool);

/// Bytes of a value as it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written(pub u64);

impl Tally for Text {
    fn text(&mut self, text: &str) {
        self.0 += text.len() as u64;
    }
}

impl Tally for Number {
    fn number(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Tally for Present {
    fn text(&mut self, _text: &str) {
        self.0 = true;
    }

    fn scalar(&mut self) {
        self.0 = true;
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, _name: &str, map: &mut A) -> Result<(), A::Error> {
        self.0 = true;
        map.next_value::<IgnoredAny>().map(drop)
    }

    fn item<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        self.0 = true;
        Ok(list.next_element::<IgnoredAny>()?.is_some())
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(value.to_string().len() as u64))
    }
}

impl<'de, T: Tally> Deserialize<'de> for Counted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counter(PhantomData)).map(Self)
    }
}

struct Counter<T>(PhantomData<T>);

impl<T: Tally> Counter<T> {
    fn counted(count: impl FnOnce(&mut T)) -> T {
        let mut tally = T::default();
        count(&mut tally);
        tally
    }
}

impl<'de, T: Tally> Visitor<'de> for Counter<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(Self::counted(|tally| tally.text(text)))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Ok(Self::counted(T::scalar))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Ok(Self::counted(T::scalar))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        Ok(Self::counted(|tally| tally.number(number)))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Ok(Self::counted(T::scalar))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut tally = T::default();
        while let Some(Key(name)) = map.next_key()? {
            tally.field(&name, &mut map)?;
        }
        Ok(tally)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let mut tally = T::default();
        while tally.item(&mut list)? {}
        Ok(tally)
    }
}

/// A name that is borrowed unless it is written with escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(Self)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
