//! The module tree of the crate as the compiler sees it without `cfg(test)`, with name resolution.

use std::collections::BTreeMap;
use std::rc::Rc;

use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token, UseTree, Visibility};

/// The maximum number of aliases of aliases; only an import of itself exceeds it.
const MOST_ALIASES: usize = 16;

/// The modules of the crate; the first is its root.
#[derive(Default)]
pub(super) struct Modules {
    pub(super) sources: Vec<Source>,
    modules: Vec<Module>,
}

/// A file of production code.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) module: usize,
    pub(super) code: Rc<syn::File>,
}

struct Module {
    file: usize,
    parent: Option<usize>,
    names: Names,
    /// Whether macros may define names beyond `names`.
    has_macros: bool,
}

/// The declarations of a module or a block.
#[derive(Default)]
pub(super) struct Names {
    bound: BTreeMap<String, Vec<Binding>>,
    globs: Vec<(Vec<String>, bool)>,
}

struct Binding {
    what: What,
    is_public: bool,
}

enum What {
    Module(usize),
    Item { is_type: bool },
    Alias(Vec<String>),
}

/// The position of a path: its module and the enclosing blocks, outermost first.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) module: usize,
    pub(super) blocks: &'a [Names],
}

/// The target of a path.
#[derive(Clone)]
pub(super) enum Found {
    Module(usize),
    Item {
        file: usize,
        name: String,
        is_type: bool,
    },
}

/// One name of a `use` item. It has no name if it is a trait `as _` or a glob.
pub(super) struct Import {
    pub(super) path: Vec<String>,
    name: Option<String>,
    pub(super) is_glob: bool,
}

impl Modules {
    /// Reads the crate whose root is `src/lib.rs`.
    pub(super) fn read(files: &[(&str, &str)]) -> Self {
        let texts: BTreeMap<&str, &str> = files.iter().copied().collect();
        let mut modules = Self::default();
        modules.load(&texts, "src/lib.rs", None);
        modules
    }

    /// Whether the first file's module is or contains the second file's module.
    pub(super) fn is_page_of(&self, page: usize, file: usize) -> bool {
        self.is_within(self.sources[file].module, self.sources[page].module)
    }

    /// Whether other files declare modules below this one.
    pub(super) fn is_page(&self, file: usize) -> bool {
        (0..self.sources.len()).any(|other| other != file && self.is_page_of(file, other))
    }

    /// The module that a `mod` item with a body declares.
    pub(super) fn inline(&self, module: usize, name: &str) -> Option<usize> {
        let bound = self.modules[module].names.bound.get(name)?;
        bound.iter().find_map(|binding| match binding.what {
            What::Module(inline) => Some(inline),
            _ => None,
        })
    }

    fn load(
        &mut self,
        texts: &BTreeMap<&str, &str>,
        path: &str,
        parent: Option<usize>,
    ) -> Option<usize> {
        let text = texts.get(path)?;
        let code = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        if !is_production(&code.attrs) {
            return None;
        }
        let (code, file) = (Rc::new(code), self.sources.len());
        let module = self.open(file, parent);
        self.sources.push(Source {
            path: path.to_owned(),
            module,
            code: Rc::clone(&code),
        });
        let page = path.strip_suffix("/mod.rs");
        let page = page.or_else(|| path.strip_suffix("/lib.rs"));
        let folder = page.unwrap_or_else(|| path.trim_end_matches(".rs"));
        self.fill(texts, module, &code.items, folder);
        Some(module)
    }

    fn open(&mut self, file: usize, parent: Option<usize>) -> usize {
        self.modules.push(Module {
            file,
            parent,
            names: Names::default(),
            has_macros: false,
        });
        self.modules.len() - 1
    }

    fn fill(&mut self, texts: &BTreeMap<&str, &str>, module: usize, items: &[Item], folder: &str) {
        for item in items.iter().filter(|item| is_production(attributes(item))) {
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let below = format!("{folder}/{name}");
                    let declared = match &inner.content {
                        Some((_, items)) => {
                            let inline = self.open(self.modules[module].file, Some(module));
                            self.fill(texts, inline, items, &below);
                            Some(inline)
                        }
                        None => [format!("{below}.rs"), format!("{below}/mod.rs")]
                            .iter()
                            .find_map(|path| self.load(texts, path, Some(module))),
                    };
                    if let Some(declared) = declared {
                        let names = &mut self.modules[module].names;
                        names.bind(name, What::Module(declared), &inner.vis);
                    }
                }
                Item::Macro(inner) if inner.ident.is_none() => {
                    self.modules[module].has_macros = true;
                }
                _ => self.modules[module].names.declare(item),
            }
        }
    }

    /// All targets of a path: a type and a value of the same name may be in two files.
    pub(super) fn resolve(&self, at: Place<'_>, path: &[String]) -> Vec<Found> {
        self.follow(at, path, 0)
    }

    /// All items of a glob import.
    pub(super) fn every(&self, at: Place<'_>, glob: &[String]) -> Vec<Found> {
        self.follow_glob(at, glob, 0)
    }

    fn follow_glob(&self, at: Place<'_>, glob: &[String], depth: usize) -> Vec<Found> {
        let mut found = Vec::new();
        for target in self.follow(at, glob, depth) {
            let Found::Module(module) = target else {
                found.push(target);
                continue;
            };
            let names = &self.modules[module].names;
            for name in names.bound.keys() {
                found.extend(
                    self.inside(module, name, at.module, depth)
                        .unwrap_or_default(),
                );
            }
            let inner = Place {
                module,
                blocks: &[],
            };
            for (path, is_public) in &names.globs {
                if *is_public || self.is_within(at.module, module) {
                    found.extend(self.follow_glob(inner, path, depth + 1));
                }
            }
        }
        found
    }

    fn follow(&self, at: Place<'_>, path: &[String], depth: usize) -> Vec<Found> {
        let Some((head, rest)) = path.split_first() else {
            return Vec::new();
        };
        if depth > MOST_ALIASES {
            return Vec::new();
        }
        let heads = match head.as_str() {
            "crate" => vec![Found::Module(0)],
            "self" => vec![Found::Module(at.module)],
            "super" => self.above(at.module),
            name => self.in_scope(at, name, depth),
        };
        rest.iter().fold(heads, |found, name| {
            let steps = found.into_iter();
            steps
                .flat_map(|found| self.step(at, found, name, depth))
                .collect()
        })
    }

    fn step(&self, at: Place<'_>, found: Found, name: &str, depth: usize) -> Vec<Found> {
        let module = match found {
            Found::Module(module) if name == "super" => return self.above(module),
            Found::Module(module) => module,
            // `Type::function` and `Enum::Variant` belong to the type.
            Found::Item { is_type: true, .. } => return vec![found],
            Found::Item { .. } => return Vec::new(),
        };
        let inside = self.inside(module, name, at.module, depth);
        inside.unwrap_or_else(|| {
            let made = self.modules[module].has_macros.then(|| Found::Item {
                file: self.modules[module].file,
                name: name.to_owned(),
                is_type: true,
            });
            made.into_iter().collect()
        })
    }

    fn in_scope(&self, at: Place<'_>, name: &str, depth: usize) -> Vec<Found> {
        for (number, block) in at.blocks.iter().enumerate().rev() {
            let around = Place {
                blocks: &at.blocks[..=number],
                ..at
            };
            if let Some(found) = self.among(block, name, around, at.module, depth) {
                return found;
            }
        }
        self.inside(at.module, name, at.module, depth)
            .unwrap_or_default()
    }

    /// The declarations of a module under a name, as visible from another module; `None` if it has
    /// no such name.
    fn inside(&self, module: usize, name: &str, from: usize, depth: usize) -> Option<Vec<Found>> {
        let within = Place {
            module,
            blocks: &[],
        };
        self.among(&self.modules[module].names, name, within, from, depth)
    }

    fn among(
        &self,
        names: &Names,
        name: &str,
        at: Place<'_>,
        from: usize,
        depth: usize,
    ) -> Option<Vec<Found>> {
        if depth > MOST_ALIASES {
            return None;
        }
        let sees_all = self.is_within(from, at.module);
        let bound = names.bound.get(name).map_or(&[][..], Vec::as_slice);
        let mut bound = bound
            .iter()
            .filter(|one| one.is_public || sees_all)
            .peekable();
        if bound.peek().is_some() {
            let found = bound.flat_map(|binding| match &binding.what {
                What::Module(module) => vec![Found::Module(*module)],
                What::Alias(path) => self.follow(at, path, depth + 1),
                What::Item { is_type } => vec![Found::Item {
                    file: self.modules[at.module].file,
                    name: name.to_owned(),
                    is_type: *is_type,
                }],
            });
            return Some(found.collect());
        }
        let globs = names.globs.iter().filter(|glob| glob.1 || sees_all);
        let modules = globs.flat_map(|(path, _)| self.follow(at, path, depth + 1));
        let mut found = modules.filter_map(|found| match found {
            Found::Module(module) => self.inside(module, name, at.module, depth + 1),
            Found::Item { .. } => None,
        });
        found.next()
    }

    fn above(&self, module: usize) -> Vec<Found> {
        let parent = self.modules[module].parent.map(Found::Module);
        parent.into_iter().collect()
    }

    fn is_within(&self, module: usize, outer: usize) -> bool {
        let parent = |module: &usize| self.modules[*module].parent;
        std::iter::successors(Some(module), parent).any(|one| one == outer)
    }
}

impl Names {
    /// The names that the items of a block declare.
    pub(super) fn of<'a>(items: impl Iterator<Item = &'a Item>) -> Self {
        let mut names = Self::default();
        for item in items.filter(|item| is_production(attributes(item))) {
            names.declare(item);
        }
        names
    }

    fn declare(&mut self, item: &Item) {
        let (name, is_type, visibility) = match item {
            Item::Use(inner) => {
                let is_public = is_public(&inner.vis);
                for import in imports(&inner.tree) {
                    if import.is_glob {
                        self.globs.push((import.path, is_public));
                    } else if let Some(name) = import.name {
                        self.bind(name, What::Alias(import.path), &inner.vis);
                    }
                }
                return;
            }
            Item::Const(inner) => (&inner.ident, false, &inner.vis),
            Item::Fn(inner) => (&inner.sig.ident, false, &inner.vis),
            Item::Static(inner) => (&inner.ident, false, &inner.vis),
            Item::Enum(inner) => (&inner.ident, true, &inner.vis),
            Item::Struct(inner) => (&inner.ident, true, &inner.vis),
            Item::Trait(inner) => (&inner.ident, true, &inner.vis),
            Item::Type(inner) => (&inner.ident, true, &inner.vis),
            Item::Union(inner) => (&inner.ident, true, &inner.vis),
            Item::Macro(inner) => match &inner.ident {
                Some(name) => (name, false, &Visibility::Inherited),
                None => return,
            },
            _ => return,
        };
        self.bind(name.to_string(), What::Item { is_type }, visibility);
    }

    fn bind(&mut self, name: String, what: What, visibility: &Visibility) {
        let is_public = is_public(visibility);
        let binding = Binding { what, is_public };
        self.bound.entry(name).or_default().push(binding);
    }
}

/// Whether an item is visible outside its own module.
pub(super) fn is_public(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

/// The names of a `use` item.
pub(super) fn imports(tree: &UseTree) -> Vec<Import> {
    let mut imports = Vec::new();
    gather(tree, &[], &mut imports);
    imports
}

fn gather(tree: &UseTree, before: &[String], imports: &mut Vec<Import>) {
    let with = |name: &syn::Ident| match name == "self" && !before.is_empty() {
        true => before.to_vec(),
        false => [before, &[name.to_string()]].concat(),
    };
    match tree {
        UseTree::Path(path) => gather(&path.tree, &with(&path.ident), imports),
        UseTree::Group(group) => {
            for tree in &group.items {
                gather(tree, before, imports);
            }
        }
        UseTree::Glob(_) => imports.push(Import {
            path: before.to_vec(),
            name: None,
            is_glob: true,
        }),
        UseTree::Name(name) => {
            let path = with(&name.ident);
            imports.push(Import {
                name: path.last().cloned(),
                path,
                is_glob: false,
            });
        }
        UseTree::Rename(rename) => imports.push(Import {
            path: with(&rename.ident),
            name: (rename.rename != "_").then(|| rename.rename.to_string()),
            is_glob: false,
        }),
    }
}

/// Whether code with these attributes is compiled into the program.
pub(super) fn is_production(attributes: &[Attribute]) -> bool {
    let cfgs = attributes.iter().filter(|one| one.path().is_ident("cfg"));
    let mut conditions = cfgs.filter_map(|one| one.parse_args::<Meta>().ok());
    !conditions.any(|condition| holds(&condition) == Some(false))
}

/// Whether a condition holds without `test`; `None` if that depends on something else.
fn holds(condition: &Meta) -> Option<bool> {
    let Meta::List(list) = condition else {
        return condition.path().is_ident("test").then_some(false);
    };
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let parts: Vec<Option<bool>> = parts.ok()?.iter().map(holds).collect();
    let all = |value| parts.iter().all(|part| *part == Some(value));
    let any = |value| parts.contains(&Some(value));
    match () {
        () if list.path.is_ident("not") => parts.first().copied()?.map(|value| !value),
        () if list.path.is_ident("all") => (any(false) || all(true)).then(|| all(true)),
        () if list.path.is_ident("any") => (any(true) || all(false)).then(|| any(true)),
        () => None,
    }
}

/// The attributes of an item.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(inner) => &inner.attrs,
        Item::Enum(inner) => &inner.attrs,
        Item::ExternCrate(inner) => &inner.attrs,
        Item::Fn(inner) => &inner.attrs,
        Item::Impl(inner) => &inner.attrs,
        Item::Macro(inner) => &inner.attrs,
        Item::Mod(inner) => &inner.attrs,
        Item::Static(inner) => &inner.attrs,
        Item::Struct(inner) => &inner.attrs,
        Item::Trait(inner) => &inner.attrs,
        Item::Type(inner) => &inner.attrs,
        Item::Union(inner) => &inner.attrs,
        Item::Use(inner) => &inner.attrs,
        _ => &[],
    }
}
