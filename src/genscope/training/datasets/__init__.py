"""Readers of the official data files, each checked before it is believed; nothing is downloaded."""
