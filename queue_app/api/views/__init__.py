"""The calls, a module for each resource: parse, call one verb, render."""
