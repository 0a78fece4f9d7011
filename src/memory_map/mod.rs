//! Where in the address space the objects lie.
//!
//! Takes nothing but addresses and sizes and knows neither Python nor a process: the three fixed bands
//! of the recipe, and a map by mapping, each in a file of its own.

mod bands;
mod pages;
mod recipe_text;
pub mod regions;

pub use bands::Band;
pub use bands::Bands;
pub use bands::Sector;
pub use recipe_text::quantity;
pub use recipe_text::recipe_text;
