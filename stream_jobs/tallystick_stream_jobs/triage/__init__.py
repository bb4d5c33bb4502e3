"""What happens to a finding between its detector and people: mode, exemptions, suppressions, grants, repeats, storms; and what people say back.

`core`, `grants`, `storms`, `quality`, `explain` are pure; `record`, `store`, `feedback` are shells.
"""
