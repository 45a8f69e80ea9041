"""Every query Penstock sends, by table: a name in the verb form, a line of purpose, then its surprise."""
