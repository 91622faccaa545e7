"""Adapters: decoding at signed temperature inside other engines, one short module for each.

Every adapter hands the engine log-probabilities of the decoder's own distribution, with −inf for
tokens that cannot come. The engine must then draw from them as they are, at temperature 1 and
without filters of its own: each adapter's ``settings`` holds what it has to be told.

Modules of engines that ask for a subclass of theirs (vLLM, SGLang) import that engine; the others
import without it.
"""
