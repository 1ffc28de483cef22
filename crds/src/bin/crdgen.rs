//! Writes what is generated from the types: every kind's `CustomResourceDefinition` into the
//! chart's folder, and the tables of conditions into the folder of the documentation.

use std::{error::Error, fs, path::Path};

use aios_crds::{page, yaml};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [charts, docs] = arguments.as_slice() else {
        return Err("usage: crdgen FOLDER-OF-DEFINITIONS FOLDER-OF-DOCUMENTATION".into());
    };
    for (name, text) in yaml::definitions()? {
        fs::write(Path::new(charts).join(name), text)?;
    }
    let path = Path::new(docs).join("conditions.md");
    let page = page::with_conditions(&fs::read_to_string(&path)?)
        .ok_or("conditions.md lacks the two markers of its generated part")?;
    fs::write(path, page)?;
    Ok(())
}
