"""The functions that a caller's statement may name: those that compute from their arguments alone.

What is not here is refused, so a function that a later engine brings stays out until someone has looked at it. Left out
on purpose: whatever reads files, dictionaries, other tables or the server's own state; whatever takes a format, a type
or a function as a text; and what takes far longer than its input is long, because one call on one block cannot be
interrupted (edit distances, ``arrayReduceInRanges``, ``arrayFold``, ``sequenceMatch``, geometry).
"""

from __future__ import annotations

_SCALAR = """
    _CAST nothing
    cutIPv6 IPv4CIDRToRange IPv4NumToString IPv4NumToStringClassC IPv4StringToNum IPv4StringToNumOrDefault
    IPv4StringToNumOrNull IPv4ToIPv6 IPv6CIDRToRange IPv6NumToString IPv6StringToNum IPv6StringToNumOrDefault
    IPv6StringToNumOrNull isIPAddressInRange isIPv4String isIPv6String toIPv4 toIPv4OrDefault toIPv4OrNull
    toIPv4OrZero toIPv6 toIPv6OrDefault toIPv6OrNull toIPv6OrZero
    abs avg2 byteSwap divide divideDecimal divideOrNull gcd ifNotFinite intDiv intDivOrNull intDivOrZero isFinite
    isInfinite isNaN lcm max2 midpoint min2 minus modulo moduloLegacy moduloOrNull moduloOrZero multiply
    multiplyDecimal negate plus positiveModulo positiveModuloOrNull sqr
    array arrayAll arrayAvg arrayBottomK arrayCompact arrayConcat arrayCount arrayCumSum arrayCumSumNonNegative
    arrayDifference arrayDistinct arrayDotProduct arrayElement arrayElementOrNull arrayEnumerate
    arrayEnumerateDense arrayEnumerateUniq arrayExcept arrayExists arrayFill arrayFilter arrayFirst
    arrayFirstIndex arrayFirstOrNull arrayFlatten arrayFlattenedLength arrayIntersect arrayJaccardIndex arrayJoin
    arrayLast arrayLastIndex arrayLastOrNull arrayMap arrayMax arrayMin arrayPartialReverseSort
    arrayPartialShuffle arrayPartialSort arrayPopBack arrayPopFront arrayProduct arrayPushBack arrayPushFront
    arrayRandomSample arrayRemove arrayResize arrayReverse arrayReverseFill arrayReverseSort arrayReverseSplit
    arrayRotateLeft arrayRotateRight arrayShiftLeft arrayShiftRight arrayShuffle arraySlice arraySort arraySplit
    arraySum arraySymmetricDifference arrayTopK arrayUnion arrayUniq arrayWithConstant arrayZip arrayZipUnaligned
    countEqual empty emptyArrayDate emptyArrayDateTime emptyArrayFloat32 emptyArrayFloat64 emptyArrayInt16
    emptyArrayInt32 emptyArrayInt64 emptyArrayInt8 emptyArrayString emptyArrayToSingle emptyArrayUInt16
    emptyArrayUInt32 emptyArrayUInt64 emptyArrayUInt8 has hasAll hasAny hasSubstr indexOf indexOfAssumeSorted
    length notEmpty notHas range replicate reverse revision
    bitAnd bitCount bitHammingDistance bitNot bitOr bitRotateLeft bitRotateRight bitShiftLeft bitShiftRight
    bitSlice bitTest bitTestAll bitTestAny bitXor
    equals globalIn globalInIgnoreSet globalNotIn globalNotInIgnoreSet globalNotNullIn globalNotNullInIgnoreSet
    globalNullIn globalNullInIgnoreSet greater greaterOrEquals in inIgnoreSet isDistinctFrom isNotDistinctFrom
    less lessOrEquals notEquals notIn notInIgnoreSet notNullIn notNullInIgnoreSet nullIn nullInIgnoreSet
    clamp greatest if least multiIf
    cosineDistance L1Distance L1Norm L1Normalize L2Distance L2Norm L2Normalize L2SquaredDistance L2SquaredNorm
    LinfDistance LinfNorm LinfNormalize LpDistance LpNorm LpNormalize
    bin bitmaskToArray bitmaskToList bitPositionsToArray char hex unbin unhex
    cityHash64 farmFingerprint64 farmHash64 gccMurmurHash halfMD5 hiveHash intHash32 intHash64 javaHash
    javaHashUTF16LE kafkaMurmurHash keccak256 MD4 MD5 metroHash64 murmurHash2_32 murmurHash2_64 murmurHash3_128
    murmurHash3_32 murmurHash3_64 RIPEMD160 SHA1 SHA224 SHA256 SHA384 SHA512 SHA512_256 sipHash128 sipHash128Keyed
    sipHash128Reference sipHash128ReferenceKeyed sipHash64 sipHash64Keyed URLHash wyHash64 xxh3 xxh3_128 xxHash32
    xxHash64 xxHash64Spark
    dateTime64ToSnowflakeID dateTimeToSnowflakeID dateTimeToUUIDv7 generateUUIDv4 generateUUIDv7
    snowflakeIDToDateTime snowflakeIDToDateTime64 toUUIDOrDefault toUUIDOrNull UUIDNumToString UUIDStringToNum
    UUIDToNum UUIDv7ToDateTime
    dynamicElement dynamicType isValidJSON JSON_EXISTS JSON_QUERY JSON_VALUE JSONArrayLength JSONDynamicPaths
    JSONDynamicPathsWithTypes JSONExtract JSONExtractArrayRaw JSONExtractArrayRawCaseInsensitive JSONExtractBool
    JSONExtractBoolCaseInsensitive JSONExtractCaseInsensitive JSONExtractFloat JSONExtractFloatCaseInsensitive
    JSONExtractInt JSONExtractIntCaseInsensitive JSONExtractKeys JSONExtractKeysAndValues
    JSONExtractKeysAndValuesCaseInsensitive JSONExtractKeysAndValuesRaw JSONExtractKeysAndValuesRawCaseInsensitive
    JSONExtractKeysCaseInsensitive JSONExtractRaw JSONExtractRawCaseInsensitive JSONExtractString
    JSONExtractStringCaseInsensitive JSONExtractUInt JSONExtractUIntCaseInsensitive JSONHas JSONKey JSONLength
    JSONType prettyPrintJSON simpleJSONExtractBool simpleJSONExtractFloat simpleJSONExtractInt
    simpleJSONExtractRaw simpleJSONExtractString simpleJSONExtractUInt simpleJSONHas toJSONString
    and not or xor
    extractKeyValuePairs extractKeyValuePairsWithEscaping map mapAdd mapAll mapApply mapConcat mapContainsKey
    mapContainsKeyLike mapContainsValue mapContainsValueLike mapExists mapExtractKeyLike mapExtractValueLike
    mapFilter mapFromArrays mapKeys mapPartialReverseSort mapPartialSort mapPopulateSeries mapReverseSort mapSort
    mapSubtract mapUpdate mapValues
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh degrees e erf erfc exp exp10 exp2 factorial hypot
    intExp10 intExp2 lgamma log log10 log1p log2 pi pow radians sigmoid sign sin sinh sqrt tan tanh tgamma
    widthBucket
    assumeNotNull coalesce firstNonDefault ifNull isNotNull isNull isNullable isZeroOrNull nullIf toNullable
    array_remove array_to_string byteSlice CARDINALITY caseWithExpr caseWithoutExpr caseWithoutExpression ceiling
    CHAR_LENGTH CHARACTER_LENGTH concat_ws curdate current_database current_date current_timestamp DATABASE
    date_bin date_diff DATE_DIFF DATE_FORMAT DATE_TRUNC DAY DAYOFMONTH DAYOFWEEK DAYOFYEAR distanceCosine
    distanceL1 distanceL2 distanceL2Squared distanceLinf distanceLp extractAllGroups flatten FORMAT_BYTES
    FROM_BASE64 FROM_DAYS FROM_UNIXTIME from_utc_timestamp hasAllToken hasAnyToken HOUR INET6_ATON INET6_NTOA
    INET_ATON INET_NTOA instr isASCII JSON_ARRAY_LENGTH LAST_DAY lcase ln localtimestamp lpad ltrim
    MAP_FROM_ARRAYS mapContains mapFromString MICROSECOND mid MILLISECOND MINUTE mod modOrNull MONTH NANOSECOND
    normalizeL1 normalizeL2 normalizeLinf normalizeLp normL1 normL2 normL2Squared normLinf normLp OCTET_LENGTH
    pmod pmodOrNull positive_modulo positive_modulo_or_null power QUARTER rand32 REGEXP_EXTRACT regexp_instr
    REGEXP_MATCHES REGEXP_REPLACE REGEXP_SUBSTR regexpInstr removeAccentsUTF8 replace rpad rtrim scalarProduct
    SCHEMA SECOND splitByAlpha str_to_date str_to_map substr SUBSTRING_INDEX time_bucket timestamp_diff
    TIMESTAMP_DIFF timestampDiff TO_BASE64 TO_DAYS TO_UNIXTIME to_utc_timestamp toStartOfFiveMinute trim truncate
    ucase unnest UTC_timestamp vectorDifference vectorSum visitParamExtractBool visitParamExtractFloat
    visitParamExtractInt visitParamExtractRaw visitParamExtractString visitParamExtractUInt visitParamHas week
    width_bucket YEAR yearweek
    bar byteSize caseWithExpression countDigits currentDatabase digits exists formatReadableDecimalSize
    formatReadableQuantity formatReadableSize formatReadableTimeDelta grouping identity ignore interval isConstant
    isDecimalOverflow lambda materialize parseReadableSize parseReadableSizeOrNull parseReadableSizeOrZero
    parseTimeDelta rowNumberInAllBlocks rowNumberInBlock runningDifference throwIf toColumnTypeName toTypeName
    transform variantElement variantType version
    rand rand64 randBernoulli randBinomial randChiSquared randExponential randFisherF randLogNormal
    randNegativeBinomial randNormal randomFixedString randomPrintableASCII randomString randomStringUTF8
    randPoisson randStudentT randUniform
    format overlay overlayUTF8 printf regexpQuoteMeta replaceAll replaceOne replaceRegexpAll replaceRegexpOne
    translate translateUTF8
    ceil floor round roundAge roundBankers roundDown roundDuration roundToExp2 trunc
    countMatches countMatchesCaseInsensitive countSubstrings countSubstringsCaseInsensitive
    countSubstringsCaseInsensitiveUTF8 extract extractAll extractAllGroupsHorizontal extractGroups hasAllTokens
    hasAnyTokens hasToken hasTokenCaseInsensitive hasTokenCaseInsensitiveOrNull hasTokenOrNull ilike like locate
    match matchCaseInsensitive notILike notLike notMatch notMatchCaseInsensitive position positionCaseInsensitive
    positionCaseInsensitiveUTF8 positionUTF8
    alphaTokens arrayStringConcat extractAllGroupsVertical reverseBySeparator splitByChar splitByNonAlpha
    splitByRegexp splitByString splitByWhitespace tokens
    appendTrailingCharIfAbsent ascii base32Decode base32Encode base58Decode base58Encode base64Decode base64Encode
    base64URLDecode base64URLEncode basename caseFoldUTF8 concat concatAssumeInjective concatWithSeparator
    concatWithSeparatorAssumeInjective conv CRC32 CRC32IEEE CRC64 decodeHTMLComponent decodeXMLComponent
    encodeXMLComponent endsWith endsWithCaseInsensitive endsWithCaseInsensitiveUTF8 endsWithUTF8 firstLine initcap
    initcapUTF8 isValidASCII isValidUTF8 left leftPad leftPadUTF8 leftUTF8 lengthUTF8 lower lowerUTF8
    regexpExtract regexpPosition removeDiacriticsUTF8 repeat reverseUTF8 right rightPad rightPadUTF8 rightUTF8
    soundex startsWith startsWithCaseInsensitive startsWithCaseInsensitiveUTF8 startsWithUTF8 stringBytesEntropy
    stringBytesUniq substring substringIndex substringIndexUTF8 substringUTF8 toValidUTF8 trimBoth trimLeft
    trimRight tryBase32Decode tryBase58Decode tryBase64Decode tryBase64URLDecode upper upperUTF8
    addDate addDays addHours addInterval addMicroseconds addMilliseconds addMinutes addMonths addNanoseconds
    addQuarters addSeconds addTupleOfIntervals addWeeks addYears age changeDay changeHour changeMinute changeMonth
    changeSecond changeYear dateDiff dateName dateTrunc formatDateTime formatDateTimeInJodaSyntax
    fromDaysSinceYearZero fromDaysSinceYearZero32 fromModifiedJulianDay fromModifiedJulianDayOrNull
    fromUnixTimestamp fromUnixTimestampInJodaSyntax fromUTCTimestamp localtime makeDate makeDate32 makeDateTime
    makeDateTime64 monthName now now64 subDate subtractDays subtractHours subtractInterval subtractMicroseconds
    subtractMilliseconds subtractMinutes subtractMonths subtractNanoseconds subtractQuarters subtractSeconds
    subtractTupleOfIntervals subtractWeeks subtractYears timeDiff timeSlot timeSlots timestamp timezone timezoneOf
    timezoneOffset today toDayOfMonth toDayOfWeek toDayOfYear toDaysInMonth toDaysSinceYearZero toHour toISOWeek
    toISOYear toLastDayOfMonth toLastDayOfWeek toMicrosecond toMillisecond toMinute toModifiedJulianDay
    toModifiedJulianDayOrNull toMonday toMonth toMonthNumSinceEpoch toNanosecond toQuarter toRelativeDayNum
    toRelativeHourNum toRelativeMinuteNum toRelativeMonthNum toRelativeQuarterNum toRelativeSecondNum
    toRelativeWeekNum toRelativeYearNum toSecond toStartOfDay toStartOfFifteenMinutes toStartOfFiveMinutes
    toStartOfHour toStartOfInterval toStartOfISOYear toStartOfMicrosecond toStartOfMillisecond toStartOfMinute
    toStartOfMonth toStartOfNanosecond toStartOfQuarter toStartOfSecond toStartOfTenMinutes toStartOfWeek
    toStartOfYear toTimeWithFixedDate toTimezone toUnixTimestamp toUTCTimestamp toWeek toYear toYearNumSinceEpoch
    toYearWeek toYYYYMM toYYYYMMDD toYYYYMMDDhhmmss UTCTimestamp yesterday YYYYMMDDhhmmssToDateTime
    YYYYMMDDhhmmssToDateTime64 YYYYMMDDToDate YYYYMMDDToDate32
    dotProduct flattenTuple tuple tupleConcat tupleDivide tupleDivideByNumber tupleElement tupleHammingDistance
    tupleIntDiv tupleIntDivByNumber tupleIntDivOrZero tupleIntDivOrZeroByNumber tupleMinus tupleModulo
    tupleModuloByNumber tupleMultiply tupleMultiplyByNumber tupleNames tupleNegate tuplePlus
    tuplePositiveModuloByNumber tupleToNameValuePairs
    accurateCast accurateCastOrDefault accurateCastOrNull CAST DATE fromUnixTimestamp64Micro
    fromUnixTimestamp64Milli fromUnixTimestamp64Nano fromUnixTimestamp64Second parseDateTime
    parseDateTime32BestEffort parseDateTime32BestEffortOrNull parseDateTime32BestEffortOrZero parseDateTime64
    parseDateTime64BestEffort parseDateTime64BestEffortOrNull parseDateTime64BestEffortOrZero
    parseDateTime64BestEffortUS parseDateTime64BestEffortUSOrNull parseDateTime64BestEffortUSOrZero
    parseDateTime64InJodaSyntax parseDateTime64InJodaSyntaxOrNull parseDateTime64InJodaSyntaxOrZero
    parseDateTime64OrNull parseDateTime64OrZero parseDateTimeBestEffort parseDateTimeBestEffortOrNull
    parseDateTimeBestEffortOrZero parseDateTimeBestEffortUS parseDateTimeBestEffortUSOrNull
    parseDateTimeBestEffortUSOrZero parseDateTimeInJodaSyntax parseDateTimeInJodaSyntaxOrNull
    parseDateTimeInJodaSyntaxOrZero parseDateTimeOrNull parseDateTimeOrZero reinterpretAsDate
    reinterpretAsDateTime reinterpretAsFixedString reinterpretAsFloat32 reinterpretAsFloat64 reinterpretAsInt128
    reinterpretAsInt16 reinterpretAsInt256 reinterpretAsInt32 reinterpretAsInt64 reinterpretAsInt8
    reinterpretAsString reinterpretAsUInt128 reinterpretAsUInt16 reinterpretAsUInt256 reinterpretAsUInt32
    reinterpretAsUInt64 reinterpretAsUInt8 reinterpretAsUUID toBFloat16 toBFloat16OrNull toBFloat16OrZero toBool
    toDate toDate32 toDate32OrDefault toDate32OrNull toDate32OrZero toDateOrDefault toDateOrNull toDateOrZero
    toDateTime toDateTime32 toDateTime64 toDateTime64OrDefault toDateTime64OrNull toDateTime64OrZero
    toDateTimeOrDefault toDateTimeOrNull toDateTimeOrZero toDecimal128 toDecimal128OrDefault toDecimal128OrNull
    toDecimal128OrZero toDecimal256 toDecimal256OrDefault toDecimal256OrNull toDecimal256OrZero toDecimal32
    toDecimal32OrDefault toDecimal32OrNull toDecimal32OrZero toDecimal64 toDecimal64OrDefault toDecimal64OrNull
    toDecimal64OrZero toDecimalString toFixedString toFloat32 toFloat32OrDefault toFloat32OrNull toFloat32OrZero
    toFloat64 toFloat64OrDefault toFloat64OrNull toFloat64OrZero toInt128 toInt128OrDefault toInt128OrNull
    toInt128OrZero toInt16 toInt16OrDefault toInt16OrNull toInt16OrZero toInt256 toInt256OrDefault toInt256OrNull
    toInt256OrZero toInt32 toInt32OrDefault toInt32OrNull toInt32OrZero toInt64 toInt64OrDefault toInt64OrNull
    toInt64OrZero toInt8 toInt8OrDefault toInt8OrNull toInt8OrZero toInterval toIntervalDay toIntervalHour
    toIntervalMicrosecond toIntervalMillisecond toIntervalMinute toIntervalMonth toIntervalNanosecond
    toIntervalQuarter toIntervalSecond toIntervalWeek toIntervalYear toLowCardinality toString toStringCutToZero
    toTime toTime64 toTime64OrNull toTime64OrZero toTimeOrNull toTimeOrZero toUInt128 toUInt128OrDefault
    toUInt128OrNull toUInt128OrZero toUInt16 toUInt16OrDefault toUInt16OrNull toUInt16OrZero toUInt256
    toUInt256OrDefault toUInt256OrNull toUInt256OrZero toUInt32 toUInt32OrDefault toUInt32OrNull toUInt32OrZero
    toUInt64 toUInt64OrDefault toUInt64OrNull toUInt64OrZero toUInt8 toUInt8OrDefault toUInt8OrNull toUInt8OrZero
    toUnixTimestamp64Micro toUnixTimestamp64Milli toUnixTimestamp64Nano toUnixTimestamp64Second toUUID
    toUUIDOrZero
    cutFragment cutQueryString cutQueryStringAndFragment cutToFirstSignificantSubdomain
    cutToFirstSignificantSubdomainWithWWW cutURLParameter cutWWW decodeURLComponent decodeURLFormComponent domain
    domainWithoutWWW encodeURLComponent encodeURLFormComponent extractURLParameter extractURLParameterNames
    extractURLParameters firstSignificantSubdomain fragment netloc path pathFull port protocol queryString
    queryStringAndFragment topLevelDomain URLHierarchy URLPathHierarchy
    hop hopEnd hopStart tumble tumbleEnd tumbleStart
"""
_AGGREGATE = """
    any any_respect_nulls any_value any_value_respect_nulls anyHeavy anyLast anyLast_respect_nulls
    anyLastRespectNulls anyRespectNulls anyValueRespectNulls approx_top_count approx_top_k approx_top_sum argMax
    argMin array_agg avg avgWeighted BIT_AND BIT_OR BIT_XOR corr corrStable count COVAR_POP COVAR_SAMP covarPop
    covarPopStable covarSamp covarSampStable cume_dist dense_rank denseRank entropy first_value
    first_value_respect_nulls firstValueRespectNulls gini groupArray groupArrayLast groupArrayMovingAvg
    groupArrayMovingSum groupArraySample groupArraySorted groupBitAnd groupBitOr groupBitXor groupUniqArray
    kurtPop kurtSamp lag lagInFrame last_value last_value_respect_nulls lastValueRespectNulls lead leadInFrame max
    max_by median medianBFloat16 medianBFloat16Weighted medianExact medianExactHigh medianExactLow
    medianExactWeighted medianExactWeightedInterpolated medianInterpolatedWeighted medianTDigest
    medianTDigestWeighted medianTiming medianTimingWeighted min min_by nonNegativeDerivative nth_value ntile
    percent_rank percentRank quantile quantileBFloat16 quantileBFloat16Weighted quantileExact
    quantileExactExclusive quantileExactHigh quantileExactInclusive quantileExactLow quantileExactWeighted
    quantileExactWeightedInterpolated quantileInterpolatedWeighted quantiles quantilesBFloat16
    quantilesBFloat16Weighted quantilesExact quantilesExactExclusive quantilesExactHigh quantilesExactInclusive
    quantilesExactLow quantilesExactWeighted quantilesExactWeightedInterpolated quantilesInterpolatedWeighted
    quantilesTDigest quantilesTDigestWeighted quantilesTiming quantilesTimingWeighted quantileTDigest
    quantileTDigestWeighted quantileTiming quantileTimingWeighted rank regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy row_number simpleLinearRegression skewPop
    skewSamp sparkbar STD STDDEV STDDEV_POP STDDEV_SAMP stddevPop stddevPopStable stddevSamp stddevSampStable
    studentTTest studentTTestOneSample sum sumCount sumKahan topK topKWeighted uniq uniqCombined uniqCombined64
    uniqExact uniqHLL12 uniqUpTo VAR_POP VAR_SAMP varPop varPopStable varSamp varSampStable welchTTest
"""
#: Endings of an aggregate function's name that change what it is given, not what it does.
_COMBINATORS = ("if", "array", "distinct", "ornull", "ordefault", "foreach")

_AGGREGATES = frozenset(_AGGREGATE.lower().split())
#: In lower case: the engine takes many names in any.
ALLOWED = frozenset(_SCALAR.lower().split()) | _AGGREGATES


def allowed(name: str) -> bool:
    """Whether a statement may name this function.

    >>> allowed("arrayMap"), allowed("sumIfOrNull"), allowed("FILE")
    (True, True, False)
    """
    name = name.lower()
    return name in ALLOWED or _is_aggregate(name)


def _is_aggregate(name: str) -> bool:
    """An aggregate function, with any of its endings."""
    if name in _AGGREGATES:
        return True
    return any(_is_aggregate(name.removesuffix(ending)) for ending in _COMBINATORS if name.endswith(ending))
