//! The folders and files of the disk in memory.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{FakeDisk, State};
use crate::audit::disk::{Access, Disk, File, Folder, Identity};

#[derive(Debug)]
struct Handle {
    disk: FakeDisk,
    node: usize,
    has_lock: Mutex<bool>,
}

impl FakeDisk {
    fn handle(&self, node: usize) -> Handle {
        Handle {
            disk: self.clone(),
            node,
            has_lock: Mutex::new(false),
        }
    }
}

impl Disk for FakeDisk {
    fn folder(&self, path: &Path, create: Option<u32>) -> io::Result<Arc<dyn Folder>> {
        let path = path.display().to_string();
        let node = self.step("folder", |state| match state.roots.get(&path) {
            Some(node) => Ok(*node),
            None if create.is_some() => {
                let node = state.make_folder();
                state.roots.insert(path, node);
                Ok(node)
            }
            None => Err(io::ErrorKind::NotFound.into()),
        })?;
        Ok(Arc::new(self.handle(node)))
    }

    fn look(&self, path: &Path) -> io::Result<Identity> {
        let path = path.display().to_string();
        self.step("look", |state| {
            let node = state.roots.get(&path).ok_or(io::ErrorKind::NotFound)?;
            Ok(state.identity(*node))
        })
    }
}

impl Folder for Handle {
    fn folder(&self, name: &str, create: Option<u32>) -> io::Result<Arc<dyn Folder>> {
        let node = self
            .disk
            .step("folder", |state| match state.find(self.node, name) {
                Err(_) if create.is_some() => {
                    let node = state.make_folder();
                    let folder = &mut state.nodes[self.node];
                    folder.names.make_durably(name, node);
                    folder.changed += 1;
                    Ok(node)
                }
                other => other,
            })?;
        Ok(Arc::new(self.disk.handle(node)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = |state: &State| state.nodes[self.node].names.now.keys().cloned().collect();
        self.disk.step("list", |state| Ok(names(state)))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let node = self.disk.step("open", |state| {
            match (state.find(self.node, name), access) {
                (Err(_), Access::Create(_)) => {
                    let node = state.make();
                    state.nodes[self.node].names.set(name, node);
                    state.nodes[self.node].changed += 1;
                    Ok(node)
                }
                (found, _) => found,
            }
        })?;
        Ok(Arc::new(self.disk.handle(node)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.step("rename", |state| {
            let node = state.find(self.node, from)?;
            let names = &mut state.nodes[self.node].names;
            names.rename(from, to, node);
            state.nodes[self.node].changed += 1;
            Ok(())
        })
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        if self.disk.state().find(self.node, to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Folder::rename(self, from, to)
    }

    fn move_into(&self, from: &str, folder: &dyn Folder, to: &str) -> io::Result<()> {
        let folder = folder.as_any().downcast_ref::<Self>().unwrap().node;
        self.disk.step("move", |state| {
            let node = state.find(self.node, from)?;
            state.nodes[self.node].names.remove(from);
            state.nodes[folder].names.set(to, node);
            Ok(())
        })
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.disk.step("remove_folder", |state| {
            let node = state.find(self.node, name)?;
            if !state.nodes[node].names.now.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            state.nodes[self.node].names.remove(name);
            Ok(())
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.step("remove", |state| {
            state.find(self.node, name)?;
            state.nodes[self.node].names.remove(name);
            state.nodes[self.node].changed += 1;
            Ok(())
        })
    }

    fn look(&self, name: &str) -> io::Result<Identity> {
        self.disk.step("look", |state| {
            let node = state.find(self.node, name)?;
            Ok(state.identity(node))
        })
    }

    fn identity(&self) -> io::Result<Identity> {
        let node = self.node;
        self.disk.step("identity", |state| Ok(state.identity(node)))
    }

    fn made(&self) -> Option<i128> {
        Some(self.node as i128)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        // Reports no free space, so that the writer makes no reserve file. Writes succeed nevertheless.
        Ok(0)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step("sync_folder", |state| {
            state.nodes[self.node].names.sync();
            Ok(())
        })
    }

    fn sync_disk(&self) -> io::Result<()> {
        self.disk.step("sync_disk", |state| {
            for node in &mut state.nodes {
                node.names.sync();
                node.contents.sync();
            }
            state.before.clear();
            Ok(())
        })
    }
}

impl Handle {
    fn sync_as(&self, step: &'static str) -> io::Result<()> {
        let mut done = false;
        let result = self.disk.step(step, |state| {
            state.nodes[self.node].contents.sync();
            done = true;
            Ok(())
        });
        let mut state = self.disk.state();
        if !done && !state.is_dead {
            state.nodes[self.node].contents.fail_to_sync();
        }
        result
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.step("read", |state| {
            let node = &mut state.nodes[self.node];
            let bytes = node.contents.now.get(offset as usize..);
            let bytes = bytes.unwrap_or_default();
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            if state.counts {
                node.read += length as u64;
            }
            Ok(length)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.step("write", |state| {
            let node = &mut state.nodes[self.node];
            node.contents.write(bytes, offset as usize);
            node.changed += 1;
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_as("sync_data")
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_as("sync_all")
    }

    fn clear(&self) -> io::Result<()> {
        self.disk.step("clear", |state| {
            state.nodes[self.node].contents.clear();
            state.nodes[self.node].changed += 1;
            Ok(())
        })
    }

    fn identity(&self) -> io::Result<Identity> {
        let node = self.node;
        self.disk.step("identity", |state| Ok(state.identity(node)))
    }

    fn names(&self) -> io::Result<u64> {
        Ok(1)
    }

    fn lock(&self) -> io::Result<bool> {
        let mut had = false;
        let result = self.disk.step("lock", |state| {
            let locked = &mut state.nodes[self.node].locked;
            had = !std::mem::replace(locked, true);
            Ok(had)
        });
        // The step may take the lock although it fails. Closing the file must then release the lock.
        *self.has_lock.lock().unwrap() |= had;
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if *self.has_lock.lock().unwrap() {
            self.disk.state().nodes[self.node].locked = false;
        }
    }
}
