"""Bytes to protocol and back, one package per transport; holds no state that another front process could not hold."""
