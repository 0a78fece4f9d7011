//! Which mapped image is CPython, of which version, and where its fields are.

use crate::address::Address;
use crate::binary::InterpreterImage;
use crate::binary::Modules;
use crate::binary::interpreter_image;
use crate::descriptions::Descriptions;
use crate::inspection::error::InspectionError;
use crate::inspection::symbolless;
use crate::layout::Layouts;
use crate::layout::Resolved;
use crate::layout::identify;
use crate::layout::identify::Identity;
use crate::layout::identify::LayoutOptions;
use crate::layout::version::Build;
use crate::layout::version::Version;
use crate::runtime::interpreters;
use crate::target::Memory;

/// The variables of the largest CPython are 2 MB.
const LARGEST_DATA: u64 = 64 << 20;

/// A CPython found in a process.
pub struct Located {
    /// Every binary mapped.
    pub modules: Modules,
    /// Path of the image that holds it.
    pub image_path: String,
    /// Its build id.
    pub build_id: Option<String>,
    /// Its version.
    pub version: Version,
    /// Its build.
    pub build: Build,
    /// Where fields are.
    pub resolved: Resolved,
    /// `_PyRuntime`, or the first of the variables that were its parts before 3.7.
    pub runtime: Address,
    /// `PyType_Type`.
    pub type_type: Address,
    /// `PyFrame_Type`.
    pub frame_type: Option<Address>,
    /// Where types of libraries keep memory outside their objects.
    pub descriptions: Descriptions,
    /// Other binaries whose runtime is initialised, each as `CPython 3.12.1 in PATH`.
    pub others: Vec<String>,
}

/// Finds the interpreter: of several binaries that hold one (a program and a `libpython`) the first
/// whose runtime is initialised.
pub fn locate(
    memory: &dyn Memory,
    modules: Modules,
    layout: &LayoutOptions,
) -> Result<Located, InspectionError> {
    let images = interpreter_image::find(&modules, memory);
    let mut last = InspectionError::NotPython;
    let mut tried = images.iter().map(|image| (image, try_image(memory, image, &modules, layout)));
    let first = tried
        .find_map(|(image, result)| result.map_err(|error| last = error).ok().map(|found| (image, found)));
    let others = tried.filter_map(|(image, result)| {
        let (identity, ..) = result.ok()?;
        Some(format!("CPython {} in {}", identity.version, image.module.path))
    });
    let others = others.collect();
    let found = match first {
        Some((image, (identity, resolved, runtime))) => {
            Match { image: image.clone(), identity, resolved, runtime }
        }
        None => symbolless::find(memory, &modules, layout).ok_or(last)?,
    };
    let Match { image, identity, resolved, runtime } = found;
    let types = StaticTypes { memory, layouts: &resolved.layouts, image: &image };
    let type_type = image.type_type().or_else(|| types.type_type(runtime));
    let frame_type = image.find_symbol("PyFrame_Type").or_else(|| types.named(type_type?, b"frame\0"));
    Ok(Located {
        image_path: image.module.path.clone(),
        build_id: image.module.build_id(),
        version: identity.version,
        build: identity.build,
        type_type: type_type.unwrap_or(Address::NULL),
        frame_type,
        others,
        resolved,
        runtime,
        modules,
        descriptions: Descriptions::default(),
    })
}

/// An image with everything that was found out about it.
pub(super) struct Match {
    pub(super) image: InterpreterImage,
    pub(super) identity: Identity,
    pub(super) resolved: Resolved,
    pub(super) runtime: Address,
}

fn try_image(
    memory: &dyn Memory,
    image: &InterpreterImage,
    modules: &Modules,
    layout: &LayoutOptions,
) -> Result<(Identity, Resolved, Address), InspectionError> {
    let unknown = || InspectionError::UnknownVersion { image: image.module.path.clone() };
    let identity = identify::identify(image).ok_or_else(unknown)?;
    let resolved = identify::find_layout(memory, image, modules, layout)?;
    let runtime = image.runtime.map(|range| range.start).or(resolved.static_runtime);
    let runtime = runtime.ok_or(InspectionError::NotPython)?;
    interpreters::read(memory, &resolved.layouts, &resolved.features, runtime)?;
    Ok((identity, resolved, runtime))
}

/// Longest way from an object to the type of types: object, type, metatype.
const LONGEST_TYPE_CHAIN: usize = 8;

/// Types that are variables of an interpreter which exports no symbol: a program that CPython was
/// linked into and that was stripped.
struct StaticTypes<'a> {
    memory: &'a dyn Memory,
    layouts: &'a Layouts,
    image: &'a InterpreterImage,
}

impl StaticTypes<'_> {
    fn type_of(&self, object: Address) -> Option<Address> {
        self.memory.read_address(object.plus(self.layouts.object.type_pointer)).ok()
    }

    /// `PyType_Type`: the one that is its own type, from the dict of modules (`PyInterpreterState.modules`).
    fn type_type(&self, runtime: Address) -> Option<Address> {
        let read = |at: Address| self.memory.read_address(at).ok();
        let state = &self.layouts.runtime;
        let main = read(runtime.plus(state.interpreters_main.unwrap_or(state.interpreters_head)))?;
        let mut at = read(main.plus(self.layouts.interpreter.modules))?;
        for _ in 0..LONGEST_TYPE_CHAIN {
            let kind = self.type_of(at)?;
            if kind == at {
                let mut data = self.image.module.data_ranges().into_iter();
                return data.any(|range| range.contains(at)).then_some(at);
            }
            at = kind;
        }
        None
    }

    /// The static type with this `tp_name`, which includes its NUL. Cost: reads all variables of the image.
    fn named(&self, type_type: Address, name: &[u8]) -> Option<Address> {
        let has_name = |kind: Address| {
            let pointer = self.memory.read_address(kind.plus(self.layouts.type_object.name)).ok()?;
            let mut found = vec![0; name.len()];
            self.memory.read_into(pointer, &mut found).ok()?;
            (found == name).then_some(kind)
        };
        let pointer = self.layouts.object.type_pointer;
        self.image.module.data_ranges().into_iter().find_map(|range| {
            let mut bytes = vec![0; usize::try_from(range.length().min(LARGEST_DATA)).ok()?];
            interpreter_image::read_what_is_there(self.memory, range.start, &mut bytes);
            let words = bytes.chunks_exact(8).enumerate();
            let mut places = words.filter(|(_, word)| **word == type_type.get().to_le_bytes());
            places.find_map(|(index, _)| {
                let at = range.start.plus(8 * index as u64);
                (at.get() >= pointer).then(|| has_name(at.minus(pointer))).flatten()
            })
        })
    }
}
