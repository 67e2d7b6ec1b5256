"""The parts statements are composed of: each turns a subject into a chapter, or says why not."""
