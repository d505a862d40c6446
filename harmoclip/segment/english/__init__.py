"""Rules for English: mend the tags, find noun phrases, join them over 'of', judge what can be seen."""
