//! The imports between the files of `src`: every `use` item and every path in production code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Stmt};

use super::modules::{Found, Modules, Names, Place, attributes, imports, is_production, is_public};
use super::tree::sources;

/// Maps a file and a file that it uses to the names of the used items.
pub(super) type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// The imports of `src`.
pub(super) fn of_the_tree() -> &'static Arrows {
    static ARROWS: OnceLock<Arrows> = OnceLock::new();
    ARROWS.get_or_init(|| {
        let sources = sources();
        let files = sources.iter().map(|file| (&*file.path, &*file.text));
        arrows(&files.collect::<Vec<_>>())
    })
}

/// The imports between files, given as paths and texts. A module's page may use the files below it
/// and may re-export items that it does not use, so neither counts.
pub(super) fn arrows(files: &[(&str, &str)]) -> Arrows {
    let modules = Modules::read(files);
    let mut arrows = Arrows::new();
    for (file, source) in modules.sources.iter().enumerate() {
        let mut reader = Reader {
            modules: &modules,
            file,
            is_page: modules.is_page(file),
            module: source.module,
            blocks: Vec::new(),
            arrows: &mut arrows,
        };
        reader.visit_file(&source.code);
    }
    arrows
}

struct Reader<'a> {
    modules: &'a Modules,
    file: usize,
    is_page: bool,
    module: usize,
    blocks: Vec<Names>,
    arrows: &'a mut Arrows,
}

impl Reader<'_> {
    fn place(&self) -> Place<'_> {
        Place {
            module: self.module,
            blocks: &self.blocks,
        }
    }

    fn uses(&mut self, path: &[String]) {
        let found = self.modules.resolve(self.place(), path);
        self.draw(found);
    }

    fn draw(&mut self, found: Vec<Found>) {
        for found in found {
            // A module is only a step on the way to an item; the rest of the path counts.
            let Found::Item { file, name, .. } = found else {
                continue;
            };
            if !self.modules.is_page_of(self.file, file) {
                let path = |file: usize| self.modules.sources[file].path.clone();
                let arrow = (path(self.file), path(file));
                self.arrows.entry(arrow).or_default().insert(name);
            }
        }
    }

    /// Every path among the tokens of a macro or an attribute.
    fn scan(&mut self, mut at: Cursor<'_>) {
        while !at.eof() {
            if let Some((inner, _, _, rest)) = at.any_group() {
                self.scan(inner);
                at = rest;
            } else if let Some((head, mut rest)) = at.ident() {
                let mut path = vec![head.to_string()];
                while let Some((name, after)) = colons(rest).and_then(Cursor::ident) {
                    path.push(name.to_string());
                    rest = after;
                }
                self.uses(&path);
                at = rest;
            } else if let Some((_, rest)) = at.token_tree() {
                at = rest;
            }
        }
    }
}

/// The tokens after `::`.
fn colons(at: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, rest) = at.punct()?;
    let (second, rest) = rest.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(rest)
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|one| one.ident.to_string());
            self.uses(&names.collect::<Vec<_>>());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_some() || self.is_page && is_public(&item.vis) {
            return;
        }
        for import in imports(&item.tree) {
            let found = match import.is_glob {
                true => self.modules.every(self.place(), &import.path),
                false => self.modules.resolve(self.place(), &import.path),
            };
            self.draw(found);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let inline = self.modules.inline(self.module, &item.ident.to_string());
        let (Some((_, items)), Some(inline)) = (&item.content, inline) else {
            return;
        };
        let module = std::mem::replace(&mut self.module, inline);
        let blocks = std::mem::take(&mut self.blocks);
        for item in items {
            self.visit_item(item);
        }
        (self.module, self.blocks) = (module, blocks);
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        let items = block.stmts.iter().filter_map(|statement| match statement {
            Stmt::Item(item) => Some(item),
            _ => None,
        });
        self.blocks.push(Names::of(items));
        visit::visit_block(self, block);
        self.blocks.pop();
    }

    fn visit_macro(&mut self, macro_: &'ast syn::Macro) {
        self.visit_path(&macro_.path);
        self.scan(TokenBuffer::new2(macro_.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.scan(TokenBuffer::new2(list.tokens.clone()).begin());
        }
    }

    // `pub(in a::module)` is not a use.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_production(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_production(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        if is_production(&item.attrs) {
            visit::visit_impl_item_const(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if is_production(&item.attrs) {
            visit::visit_trait_item_fn(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if is_production(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if is_production(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_field_value(&mut self, value: &'ast syn::FieldValue) {
        if is_production(&value.attrs) {
            visit::visit_field_value(self, value);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if is_production(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes = match statement {
            Stmt::Local(local) => &local.attrs[..],
            Stmt::Macro(statement) => &statement.attrs,
            Stmt::Expr(Expr::If(inner), _) => &inner.attrs,
            Stmt::Expr(Expr::Block(inner), _) => &inner.attrs,
            Stmt::Expr(Expr::Call(inner), _) => &inner.attrs,
            Stmt::Expr(Expr::MethodCall(inner), _) => &inner.attrs,
            Stmt::Expr(Expr::Assign(inner), _) => &inner.attrs,
            Stmt::Expr(Expr::Return(inner), _) => &inner.attrs,
            _ => &[],
        };
        if is_production(attributes) {
            visit::visit_stmt(self, statement);
        }
    }
}
