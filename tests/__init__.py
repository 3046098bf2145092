"""Tests of the product; a package, since some library brings one of the same name along."""
