//! Prints one kind's `CustomResourceDefinition`, or writes all of them into a folder.

use std::{error::Error, path::Path};

use aios_crds::yaml;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args().nth(1) else {
        return Err("usage: crdgen FOLDER".into());
    };
    for (name, text) in yaml::definitions()? {
        std::fs::write(Path::new(&folder).join(name), text)?;
    }
    Ok(())
}
