//! Which images are copied together: a line for each source and size, so that what is small, or comes from elsewhere, does
//! not wait for giants of a slow source that stand before it in the list.

use std::collections::{HashMap, VecDeque};

use super::blob::LARGE;
use crate::oci::Registry;
use crate::plan::Item;

/// So many images of a line are copied together. Each registry has its own limit of requests besides.
const AT_A_TIME: usize = 64;

/// Images that wait for their like only, in the plan's order.
#[derive(Default)]
struct Line {
    waiting: VecDeque<usize>,
    under_way: usize,
}

/// The images of a plan that are to be copied.
pub(super) struct Lines {
    lines: Vec<Line>,
    /// The line of each image.
    of: HashMap<usize, usize>,
}

impl Lines {
    /// The items at these places.
    pub(super) fn of(items: &[Item], waiting: Vec<usize>) -> Self {
        let mut numbers: HashMap<(&Registry, bool), usize> = HashMap::new();
        let mut lines: Vec<Line> = Vec::new();
        let mut of = HashMap::new();
        for index in waiting {
            let key = (&items[index].source.registry, has_large_blob(&items[index]));
            let number = *numbers.entry(key).or_insert_with(|| {
                lines.push(Line::default());
                lines.len() - 1
            });
            lines[number].waiting.push_back(index);
            of.insert(index, number);
        }
        Self { lines, of }
    }

    /// The next image to begin with: the first in the plan's order for which there is room in its line.
    pub(super) fn next(&mut self) -> Option<usize> {
        let with_room = self.lines.iter_mut().filter(|line| line.under_way < AT_A_TIME);
        let first = with_room
            .filter(|line| !line.waiting.is_empty())
            .min_by_key(|line| line.waiting.front().copied())?;
        first.under_way += 1;
        first.waiting.pop_front()
    }

    /// An image that was begun with is through.
    pub(super) fn finished(&mut self, index: usize) {
        if let Some(number) = self.of.get(&index) {
            self.lines[*number].under_way -= 1;
        }
    }
}

fn has_large_blob(item: &Item) -> bool {
    item.graph.iter().flat_map(|graph| graph.distinct_blobs()).any(|blob| blob.size > LARGE)
}
