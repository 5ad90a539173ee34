"""The rewriting of a voice's graph so that its memory no longer follows the longest sentence."""
