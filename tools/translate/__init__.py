"""Translate rows of CoT-Collection into Korean, as KoCoT_2000 was made."""
