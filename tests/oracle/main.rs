//! Oracle tests: a foreign tool must accept what we wrote, and find in it what we put there.

mod erofs;
mod image;
