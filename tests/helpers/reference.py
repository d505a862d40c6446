"""The losses with plain loops over Python floats' tensors, as slow and as clear as can be."""

import torch


def cosine(a, b):
    return (a / a.norm()) @ (b / b.norm())


def iou(a, b):
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.tolist(), b.tolist()
    width, height = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
    shared = max(width, 0) * max(height, 0)
    return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared)


def row_loss(logits, share, sigmoid, repeats=None):
    """A share of None: neither right nor wrong."""
    repeats = repeats or [1] * len(logits)
    judged = [x for x in zip(logits, share, repeats, strict=True) if x[1] is not None]
    logits, share, repeats = zip(*judged, strict=True)
    if sigmoid:
        terms = [
            t * (1 + (-z).exp()).log() + (1 - t) * (1 + z.exp()).log()
            for z, t in zip(logits, share, strict=True)
        ]
        return sum(terms)
    share = [t / n for t, n in zip(share, repeats, strict=True)]
    total = sum(z.exp() / n for z, n in zip(logits, repeats, strict=True)).log()
    return sum(t * (total - z) for z, t in zip(logits, share, strict=True)) / sum(share)


def separate_row_loss(logits, share):
    """Every positive among itself and the negatives, averaged."""
    negatives = [z for z, t in zip(logits, share, strict=True) if not t]
    positives = [(z, t) for z, t in zip(logits, share, strict=True) if t]
    terms = [t * (sum(n.exp() for n in [z, *negatives]).log() - z) for z, t in positives]
    return sum(terms) / sum(t for _, t in positives)


def contrast_of_photographs(image, text, image_id, log_scale, bias=None):
    """The global contrast where captions of one photograph are positives of each other."""
    share = [[float(a == b) for b in image_id] for a in image_id]
    if bias is not None:
        return contrast(image, text, share, log_scale, bias)
    logit = [[log_scale.exp() * cosine(i, t) for t in text] for i in image]
    count = range(len(image))
    forth = [separate_row_loss(logit[i], share[i]) for i in count]
    back = [separate_row_loss([row[j] for row in logit], [row[j] for row in share]) for j in count]
    return (sum(forth) + sum(back)) / (2 * len(image))


def contrast_of_captions(image, texts, image_id, there, log_scale, bias=None):
    """One contrast of images with the captions `texts[i][k]` that are there."""
    pairs = [(i, k) for i, own in enumerate(there) for k, here in enumerate(own) if here]
    images = sorted({i for i, _ in pairs})
    scale = log_scale.exp()
    logit = {
        (i, pair): scale * cosine(image[i], texts[pair[0]][pair[1]]) + (0 if bias is None else bias)
        for i in images
        for pair in pairs
    }
    right = {key: float(image_id[key[0]] == image_id[key[1][0]]) for key in logit}
    if bias is not None:
        return sum(
            -torch.nn.functional.logsigmoid(value if right[key] else -value) for key, value in logit.items()
        ) / len(pairs)
    forth = [separate_row_loss([logit[i, p] for p in pairs], [right[i, p] for p in pairs]) for i in images]
    back = [separate_row_loss([logit[i, p] for i in images], [right[i, p] for i in images]) for p in pairs]
    return sum(forth) / (2 * len(forth)) + sum(back) / (2 * len(back))


def contrast(rows, columns, share, log_scale, bias=None, repeats=None):
    """Mean over both directions of the mean over rows; share[i][j] is how far column j is right for row i.

    Among the columns, each counts as the `repeats`-th part of one.
    """
    count = len(rows)
    scale = min(log_scale.exp(), torch.tensor(100.0, dtype=log_scale.dtype))
    logit = [
        [scale * cosine(rows[i], columns[j]) + (0 if bias is None else bias) for j in range(count)]
        for i in range(count)
    ]
    sigmoid = bias is not None
    forth = [row_loss(logit[i], share[i], sigmoid, repeats) for i in range(count)]
    back = [row_loss([row[j] for row in logit], [row[j] for row in share], sigmoid) for j in range(count)]
    return (sum(forth) + sum(back)) / (2 * count)


def pair_shares(links, phrase_id, image_index, boxes, lexemes, same_box, same_image, overlap, synonyms=None):
    linked = [lexemes[p] / lexemes[p].norm() for _, p in links.tolist()]
    shared = sum(linked) / len(linked)

    def meaning(p):
        return lexemes[p] / lexemes[p].norm() - shared

    def share(one, other):
        right = positive(one, other)
        if right == 0 and synonyms is not None:
            return None if cosine(meaning(one[1]), meaning(other[1])) >= synonyms else right
        return right

    def positive(one, other):
        (r, p), (s, q) = one, other
        if phrase_id[p] == phrase_id[q]:
            return 1.0
        if r == s:
            return same_box
        if image_index[r] == image_index[s]:
            if overlap is not None and iou(boxes[r], boxes[s]) >= overlap:
                return 1.0
            return same_image
        return 0.0

    pairs = links.tolist()
    return [[share(one, other) for other in pairs] for one in pairs]


def lexeme_region(
    regions, lexemes, links, phrase_id, image_index, boxes, positives, log_scale, bias=None, distinct=True
):
    shares = pair_shares(links, phrase_id, image_index, boxes, lexemes, *positives)
    rows = [regions[r] for r, _ in links.tolist()]
    columns = [lexemes[p] for _, p in links.tolist()]
    linked = phrase_id[links[:, 1]].tolist()
    return contrast(
        rows, columns, shares, log_scale, bias, [linked.count(p) for p in linked] if distinct else None
    )


def global_region(regions, image_index, target, log_scale, bias=None):
    means, targets = [], []
    for image in range(len(target)):
        own = [r / r.norm() for r, i in zip(regions, image_index.tolist(), strict=True) if i == image]
        if own:
            means.append(sum(own) / len(own))
            targets.append(target[image])
    share = [[float(i == j) for j in range(len(means))] for i in range(len(means))]
    return contrast(means, targets, share, log_scale, bias)


def lexeme_region_with_negatives(regions, lexemes, links, phrase_id, negatives, log_scale, bias=None):
    """Equal phrases are positives; a region's negatives are further columns of its own rows."""
    pairs, wrong = links.tolist(), negatives.tolist()

    def logit(r, p):
        return log_scale.exp() * cosine(regions[r], lexemes[p]) + (0 if bias is None else bias)

    def share(p, q):
        return float(phrase_id[p] == phrase_id[q])

    total, sigmoid = 0, bias is not None
    linked = [int(phrase_id[q]) for _, q in pairs]
    repeats = [linked.count(q) for q in linked]
    for r, p in pairs:
        own = [logit(r, n) for s, n in wrong if s == r]
        row = [logit(r, q) for _, q in pairs] + own
        total = total + row_loss(
            row, [share(p, q) for _, q in pairs] + [0.0] * len(own), sigmoid, repeats + [1] * len(own)
        )
    for _, p in pairs:
        if not sigmoid:
            total = total + row_loss([logit(r, p) for r, _ in pairs], [share(p, q) for _, q in pairs], False)
    return total / len(pairs) / (1 if sigmoid else 2)


def hard_negative(regions, lexemes, links, negatives, log_scale):
    """FG-CLIP's: cross entropy of a region's phrase among it and the region's own negatives."""
    losses = []
    for r, p in links.tolist():
        own = [n for s, n in negatives.tolist() if s == r]
        if own:
            z = [log_scale.exp() * cosine(regions[r], lexemes[q]) for q in [p, *own]]
            losses.append(sum(x.exp() for x in z).log() - z[0])
    return sum(losses) / len(losses)
