"""Texts to read: TXT, Markdown, EPUB into paragraphs that can be spoken."""
