import engraver_of_coins

PRECISION = engraver_of_coins.PRECISION
