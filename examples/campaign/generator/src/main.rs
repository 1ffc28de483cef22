//! Writes the campaign's generated files into a folder.

use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        return Err("usage: campaign-generate FOLDER [SEED]".into());
    };
    let seed = arguments
        .next()
        .map_or(Ok(aios_campaign::SEED), |seed| seed.parse())?;
    for (name, text) in aios_campaign::generate(seed).files()? {
        std::fs::write(Path::new(&folder).join(name), text)?;
    }
    Ok(())
}
